"""Lambda's entry to the function that handles events from the queue."""

from function import create

from guildhook.startup import start

handler = start(create)
