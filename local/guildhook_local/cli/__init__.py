"""The `guildhook` command: one file a command, and one file for each concern that they share."""

from guildhook_local.cli.program import app, main

__all__ = ["app", "main"]
