"""The chat API: does it answer, and does it accept the service token?"""

from typing import Final

import msgspec

from guildhook.chat import refusal_code
from guildhook.preflight.bounded_client import (
    AnswerFault,
    BoundedAnswer,
    BoundedClient,
    MissingAnswer,
    may_pass_later,
    reason_of,
    without_user,
)
from guildhook.preflight.findings import Finding, Verdict

_CHECK: Final = "chat API"
# docs/chat-api.md has this request, it changes nothing, and no user has this id.
_QUESTION: Final = "/api/users/00000000-0000-0000-0000-000000000000/guilds"
_ALWAYS_LET_OUT: Final = 443
_MORE_WAYS: Final = (
    ", or peer its network with the stack's (VpcId): deploy with Preflight=off, peer them, deploy with "
    "Preflight=required"
)


def check_chat_api(client: BoundedClient, base_url: str, token: str, *, in_ipv6_network: bool = False) -> Finding:
    """Ask for the guilds of a user whom nobody is. The token is sent to `base_url` alone."""
    subject = f"ChatApiUrl {without_user(base_url)}"
    match client.get(f"{base_url.rstrip('/')}{_QUESTION}", token):
        case MissingAnswer() as missing:
            verdict = Verdict.UNAVAILABLE if may_pass_later(missing) else Verdict.FAILED
            reason = reason_of(missing, in_ipv6_network=in_ipv6_network, more_ways=_MORE_WAYS)
            if in_ipv6_network and missing.fault is AnswerFault.NO_CONNECTION and missing.port != _ALWAYS_LET_OUT:
                reason = f"{reason}; the stack's network lets this port out with ChatApiPort={missing.port}"
            return Finding(_CHECK, verdict, f"{subject}: {reason}")
        case answer:
            verdict, reason = _judged(answer)
            return Finding(_CHECK, verdict, f"{subject}: {reason}")


def _judged(answer: BoundedAnswer) -> tuple[Verdict, str]:
    match answer.status:
        case 200 if _is_list(answer.body):
            return Verdict.PASSED, "it answers, and accepts the service token"
        case 404 if refusal_code(answer.body):
            return Verdict.PASSED, "it answers, and accepts the service token"
        case 200 | 404:
            return Verdict.FAILED, (
                f"HTTP {answer.status} without the body that docs/chat-api.md wants, as from another server; "
                "ChatApiUrl is the part of the URL before /api/"
            )
        case 401 | 403:
            return Verdict.FAILED, (
                f"HTTP {answer.status}: it does not accept the service token; put a valid one into the secret of "
                "ChatSecretArn, under chat_api_token"
            )
        case 429 | 500 | 502 | 503 | 504:
            return Verdict.UNAVAILABLE, f"HTTP {answer.status}; look at its log, and try again"
        case status if 300 <= status < 400:
            return Verdict.FAILED, f"HTTP {status}: it redirects, and the token is sent nowhere else; use the final URL"
        case status:
            return Verdict.FAILED, f"HTTP {status} to GET {_QUESTION}, for which docs/chat-api.md allows 200 and 404"


def _is_list(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=list[msgspec.Raw])
    except (ValueError, RecursionError):
        return False
    return True
