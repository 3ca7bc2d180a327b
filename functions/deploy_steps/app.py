"""Lambda's entry to the function that performs steps of a deploy."""

from function import create

from guildhook.startup import start

handler = start(create)
