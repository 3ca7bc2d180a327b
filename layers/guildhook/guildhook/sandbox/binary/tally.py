"""Limits on the parts of an upload, counted over all of its components and core modules."""

from enum import Enum

from guildhook.sandbox.binary.reading import RefusedBinaryError


class PartKind(Enum):
    """A kind of part with its plural and its limit.

    Each limit is at least three times the count in the largest plugin that componentize-py, componentize-js (including
    its debug build) and componentize-qjs produced.
    """

    SECTIONS = ("sections", 10_000)
    DEFINITIONS = ("imports, exports, aliases, instances, types and canonical functions", 20_000)
    TYPE_BYTES = ("bytes of types", 200_000)
    NAME_BYTES = ("bytes of debug names", 6_000_000)
    CORE_TYPES = ("types of core modules", 10_000)
    CORE_IMPORTS = ("imports of core modules", 20_000)
    CORE_EXPORTS = ("exports of core modules", 20_000)
    FUNCTIONS = ("functions", 60_000)
    FUNCTION_NAMES = ("names of functions", 80_000)
    LOCALS = ("locals", 350_000)
    TABLES = ("tables", 1_000)
    MEMORIES = ("memories", 1_000)
    GLOBALS = ("globals", 10_000)
    ELEMENTS = ("element segments", 10_000)
    DATA = ("data segments", 50_000)

    def __init__(self, plural: str, most: int) -> None:
        self.plural, self.most = plural, most


class Tally:
    """Counts the parts of an upload. Parts are counted before they are read, which bounds the time of reading."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(PartKind, 0)

    def add(self, kind: PartKind, count: int) -> None:
        """Raises RefusedBinaryError if the total exceeds the limit."""
        total = self._counts[kind] + count
        if total > kind.most:
            raise RefusedBinaryError(f"it has at least {total} {kind.plural}; the limit is {kind.most}")
        self._counts[kind] = total
