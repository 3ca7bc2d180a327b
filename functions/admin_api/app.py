"""Lambda's entry to the admin API, behind an HTTP API of API Gateway."""

from function import create

from guildhook.startup import start

handler = start(create)
