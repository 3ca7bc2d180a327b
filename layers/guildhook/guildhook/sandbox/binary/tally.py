"""How much of everything a whole upload may hold, over all components and core modules in it."""

from enum import Enum

from guildhook.sandbox.binary.reading import RefusedBinaryError


class PartKind(Enum):
    """What is counted, and how much of it there may be.

    Each limit is at least three times what the largest plugin of componentize-py, componentize-js (also its debug
    build) and componentize-qjs holds.
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
    """Counts while an upload is read. What is counted is counted before it is walked, which bounds the walk."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(PartKind, 0)

    def add(self, what: PartKind, count: int) -> None:
        """Raises RefusedBinaryError past the limit."""
        total = self._counts[what] + count
        if total > what.most:
            raise RefusedBinaryError(f"it has at least {total} {what.plural}; the limit is {what.most}")
        self._counts[what] = total
