"""Lambda's entry to the function that a schedule starts for cleanup."""

from function import create

from guildhook.startup import start

handler = start(create)
