"""What can go wrong, by who can mend it: the operator, the infrastructure with time, or the plugin's author."""


class ConfigurationError(Exception):
    """A setting is missing or malformed. The text is one line that names the variable."""


class InfrastructureError(Exception):
    """Postgres, S3, the disk or the chat API did not do its part; what was asked is tried again later.

    The text is one line and carries no secret.
    """


class UnwritableError(InfrastructureError):
    """Postgres does not take what was to be written; without it, it takes the rest."""


class MigrationError(Exception):
    """The database cannot be brought up to date as it is. The text is one line, and quotes nothing that it holds."""


class InvalidPluginError(Exception):
    """The plugin cannot be compiled or loaded. The text is the reason, for the guild's admins."""


class InvalidSchemaError(Exception):
    """What a plugin says of its settings cannot be used. The text is the reason, for the guild's admins."""


class UnsealableError(Exception):
    """A plugin's secret opens with no key that there is. The text names plugin and secret, and shows nothing of it."""
