"""A plugin's settings: the schema that it declares, and the secrets among them."""
