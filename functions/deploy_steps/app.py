"""Lambda's entry to the function that performs steps of a deploy."""

from guildhook.aws.custom_resource_entry import CustomResourceEntry, Handler


def start() -> Handler:
    # CloudFormation gets an answer if these imports fail.
    from function import create  # noqa: PLC0415

    from guildhook import startup  # noqa: PLC0415

    return startup.start(create)


handler = CustomResourceEntry(start)
