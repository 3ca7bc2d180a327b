"""Finding, exporting and erasing the data of a person or a guild."""

from guildhook.erasure.eraser import ErasureReport, carry_out
from guildhook.erasure.erasure_request import ErasureAction, ErasureRequest, read_erasure_request

__all__ = ["ErasureAction", "ErasureReport", "ErasureRequest", "carry_out", "read_erasure_request"]
