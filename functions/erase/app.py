"""Lambda's entry to the function that finds, exports and erases the data of a person or a guild."""

from function import create

from guildhook.startup import start

handler = start(create)
