"""The settings of plugins: the schema that a plugin declares, and the encryption of its secrets."""
