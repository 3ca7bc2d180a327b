"""Lambda's entry to the function that compiles plugins ahead of their messages."""

from function import create

from guildhook.startup import start

handler = start(create)
