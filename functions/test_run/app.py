"""Lambda's entry to the function that runs a plugin once for the admin API."""

from function import create

from guildhook.startup import start

handler = start(create)
