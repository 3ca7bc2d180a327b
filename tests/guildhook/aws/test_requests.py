import threading

import pytest
import urllib3

from guildhook.aws.access import AwsAccess, AwsError
from guildhook.aws.requests import AwsService
from http_server import raw_server

ACCESS = AwsAccess({"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s3cret"})


def test_headers_that_drip_are_given_up_in_time():
    over = threading.Event()
    drops = [b"HTTP/1.1 200 OK\r\nX-Padding: ", *[b"x"] * 900]
    service = AwsService(ACCESS, "s3", urllib3.Timeout(connect=2, read=0.3), urllib3.Retry(0))
    with raw_server(drops, between=lambda: over.wait(0.05)) as url:
        try:
            with pytest.raises(AwsError, match="ReadTimeoutError"):
                service.request("GET", f"{url}/bucket/key", 100)
        finally:
            over.set()
