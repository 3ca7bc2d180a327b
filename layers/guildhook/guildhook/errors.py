"""The expected errors. The operator, the infrastructure with time, or the author of a plugin can mend them."""

from guildhook.model import RefusalKind


class ConfigurationError(Exception):
    """An environment variable is missing or malformed. The text is one line that names the variable."""


class InfrastructureError(Exception):
    """Postgres, S3, the disk or the chat API failed. The caller tries again later.

    The text is one line without secrets.
    """


class FailedCompileError(InfrastructureError):
    """A compile failed through no fault of the plugin, and that is recorded.

    `seconds` is the time until the next try, or None after the last one.
    """

    def __init__(self, reason: str, seconds: float | None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class UnloadableArtifactError(InfrastructureError):
    """A file is not native code that this engine loads. It is damaged, or another engine wrote it."""


class RefusedStatementError(InfrastructureError):
    """Postgres refuses a statement for a part of what it is about, and would execute it for the other parts."""


class OverLimitError(RefusedStatementError):
    """A save would exceed a limit that Postgres keeps. The text is a sentence for the guild's admins."""


class TimeLimitError(InfrastructureError):
    """A time limit ended the work, so an attempt at once would take as long again."""


class MigrationError(Exception):
    """The migrations cannot be applied to this database. The text is one line, and quotes no data."""


class PreflightError(Exception):
    """A check before a deploy did not pass. The text is one line: sentences for the operator, without secrets."""


class UnknownEventError(Exception):
    """The event of an invocation has a shape that the function does not take. The text says which shapes it takes.

    The invocation fails, so that the sender keeps the event: an answer would acknowledge it.
    """


class InvalidPluginError(Exception):
    """The plugin cannot be compiled or loaded, on any machine. The text is the reason, for the guild's admins."""

    def __init__(self, reason: str, kind: RefusalKind = RefusalKind.PLUGIN) -> None:
        super().__init__(reason)
        self.kind = kind


class InvalidSchemaError(Exception):
    """The settings schema of a plugin is invalid. The text is the reason, for the guild's admins."""


class UnsealableError(Exception):
    """No current key opens a secret of a plugin. The text names the plugin and the secret, never its value."""
