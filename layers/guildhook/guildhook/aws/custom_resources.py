"""CloudFormation's custom resources. A Lambda function gets the request and sends the answer to a URL of S3.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
import urllib3

from guildhook.aws.custom_resource_entry import is_resource_request, physical_id
from guildhook.errors import ConfigurationError, InfrastructureError, MigrationError, PreflightError
from guildhook.http_deadlines import deadline_pool

__all__ = ["Attributes", "is_resource_request", "provide"]

_logger = logging.getLogger(__name__)

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=5)
_PAUSES_SECONDS: Final = (0, 0.1, 0.2, 0.4)
"""The pauses before the attempts to deliver an answer."""
# An answer may have 4,096 bytes, of which its other fields need at most 1,500. JSON doubles quotes and backslashes.
_LONGEST_REASON_BYTES: Final = 1_200


Attributes = Mapping[str, int | str]
"""The attributes of a resource, which Fn::GetAtt returns."""


class ResourceRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """The fields that guildhook reads. The URL is not shown, since everyone who has it can answer."""

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = msgspec.field(name="ResponseURL")
    stack_id: str
    request_id: str
    resource_type: str
    logical_resource_id: str
    physical_resource_id: str | None = None
    resource_properties: dict[str, Any] = {}


class ResourceAnswer(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    status: Literal["SUCCESS", "FAILED"]
    physical_resource_id: str
    stack_id: str
    request_id: str
    logical_resource_id: str
    reason: str = ""
    data: Attributes = {}


def provide(event: Any, work: Mapping[str, Callable[[], Attributes]], *, is_check: bool = False) -> None:
    """Answer a request for a resource: the `work` of its type creates or updates it, and there is nothing to delete.

    The work returns the resource's attributes, and an error that it raises is answered as a failure with its reason.
    With `is_check` the id of the resource names the properties that the work has succeeded with, now and the time
    before. A request for either, with which a deploy is rolled back, is answered without the work.
    Raises ValueError if the event is not a request, and InfrastructureError if the answer cannot be delivered: Lambda
    then invokes the function again.
    """
    request = msgspec.convert(event, ResourceRequest)
    if is_check:
        _deliver(request, _checked(request, work))
    else:
        _deliver(request, _answer(request, work))


def _checked(request: ResourceRequest, work: Mapping[str, Callable[[], Attributes]]) -> ResourceAnswer:
    if request.request_type == "Delete":
        return _success(request, {})
    place, asked = f"{request.stack_id}/{request.logical_resource_id}/", _digest(request.resource_properties)
    former = request.physical_resource_id or ""
    passed = former.removeprefix(place).split("/") if former.startswith(place) else []
    if asked in passed[:1]:
        return _success(request, {})
    if asked in passed:  # A later step of the deploy that passed has failed.
        return msgspec.structs.replace(_success(request, {}), physical_resource_id=place + asked)
    answer = _answer(request, work)
    if answer.status != "SUCCESS":
        return answer
    return msgspec.structs.replace(answer, physical_resource_id=place + "/".join([asked, *passed[:1]]))


def _digest(properties: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(properties, order="deterministic")).hexdigest()[:32]


def _answer(request: ResourceRequest, work: Mapping[str, Callable[[], Attributes]]) -> ResourceAnswer:
    if request.request_type == "Delete":
        return _success(request, {})
    if request.resource_type not in work:
        return _failure(request, f"this function provides {', '.join(work)}, not {request.resource_type}")
    try:
        return _success(request, work[request.resource_type]())
    except (ConfigurationError, InfrastructureError, MigrationError, PreflightError) as error:
        return _failure(request, str(error))
    except Exception as error:  # without an answer the deploy would stand still for an hour
        _logger.exception("%s failed", request.resource_type)
        return _failure(request, f"{type(error).__name__}; the function's log has more")


def _success(request: ResourceRequest, data: Attributes) -> ResourceAnswer:
    return ResourceAnswer("SUCCESS", *_identity(request), data=data)


def _failure(request: ResourceRequest, reason: str) -> ResourceAnswer:
    _logger.error("%s of %s failed: %s", request.request_type, request.logical_resource_id, reason)
    shown = "".join(character if character.isprintable() else " " for character in reason)
    cut = shown.encode(errors="replace")[:_LONGEST_REASON_BYTES].decode(errors="ignore")
    return ResourceAnswer("FAILED", *_identity(request), reason=cut)


def _identity(request: ResourceRequest) -> tuple[str, str, str, str]:
    resource_id = physical_id(request.stack_id, request.logical_resource_id, request.physical_resource_id)
    return resource_id, request.stack_id, request.request_id, request.logical_resource_id


def _deliver(request: ResourceRequest, answer: ResourceAnswer) -> None:
    body, reason = msgspec.json.encode(answer), ""
    # urllib3's own retries tell the log of the whole URL.
    with deadline_pool(1, retries=False) as http:
        for pause in _PAUSES_SECONDS:
            time.sleep(pause)
            try:
                # The URL is signed for this header.
                answered = http.request(
                    "PUT", request.response_url, body=body, headers={"Content-Type": ""}, timeout=_TIMEOUT
                )
            except urllib3.exceptions.HTTPError as error:
                reason = type(error).__name__  # its own text has the URL
                continue
            if answered.status == HTTPStatus.OK:
                return
            reason = f"HTTP {answered.status}"
            if answered.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
    raise InfrastructureError(f"CloudFormation's answer about {request.logical_resource_id}: {reason}")
