"""Commands whose line in a list of commands is their first sentence."""

from typer.core import TyperCommand, TyperGroup


class WholeHelpCommand(TyperCommand):
    """A command whose line in the list of commands, and in completions, is its first sentence and not cut."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - the limit is the point
        return (self.help or "").partition("\n")[0]


class WholeHelpGroup(TyperGroup):
    """The same for a group of commands."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - the limit is the point
        return (self.help or "").partition("\n")[0]
