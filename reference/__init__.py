"""The reference pages of the documentation, made from the source: `make reference` writes them to docs/reference/."""
