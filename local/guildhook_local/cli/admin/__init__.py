"""`guildhook admin`: the levers of operators."""

from guildhook_local.cli.admin import aws_commands
from guildhook_local.cli.admin.commands import admin

__all__ = ["admin", "aws_commands"]
