"""Lambda's entry to the function that brings the database up to date."""

from function import create

from guildhook.startup import start

handler = start(create)
