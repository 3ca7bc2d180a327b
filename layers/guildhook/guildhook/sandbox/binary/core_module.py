"""Reads a core module: lists its memories and tables, counts everything else, and skips the instructions.

A section whose count is lower than its contents hides nothing: wasmtime refuses such a module before it compiles any
of it. Format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from dataclasses import dataclass, field

from guildhook.model import MemoryType
from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError
from guildhook.sandbox.binary.tally import PartKind, Tally

MODULE_HEADER = b"\0asm\x01\0\0\0"

# The limit of one function; the output of toolchains has up to 500.
_MAX_LOCALS = 5_000
"""The locals of a function."""
_MAX_FUNCTION_NAME_BYTES = 16_000
"""The bytes of a function's name. C++ templates reach 4,000. An error's backtrace repeats the names of functions."""

_FUNCREF, _EXTERNREF = 0x70, 0x6F
_VALUE_TYPES = frozenset({0x7F, 0x7E, 0x7D, 0x7C, 0x7B, _FUNCREF, _EXTERNREF})

# Only the number of entries of these sections matters.
_COUNTED = {
    6: PartKind.GLOBALS,
    7: PartKind.CORE_EXPORTS,
    9: PartKind.ELEMENTS,
    11: PartKind.DATA,
}
_IGNORED = (8, 12)
"""The sections of the start function and of the number of data segments."""


@dataclass(slots=True)
class CoreModule:
    """A core module's own parts. Imported memories and tables are counted in the instance that they come from."""

    memories: list[MemoryType] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    """The minimum number of elements of each table."""
    functions: int = 0
    imports: int = 0
    name_sections: list[int] = field(default_factory=list)
    """Positions in the whole binary: where the section name "name" of each section of debug names begins."""


def read_core_module(reader: Reader, tally: Tally) -> CoreModule:
    """Read the core module that fills `reader`. Raises RefusedBinaryError."""
    reader.expect(MODULE_HEADER, "a core module in it has a version other than 1, which is not supported")
    module = CoreModule()
    while not reader.exhausted:
        section, body = reader.section()
        tally.add(PartKind.SECTIONS, 1)
        if section in _COUNTED:
            tally.add(_COUNTED[section], body.number())
        elif section not in _IGNORED:
            _read_section(section, body, module, tally)
    return module


def _read_section(section: int, body: Reader, module: CoreModule, tally: Tally) -> None:
    match section:
        case 0:
            _custom(body, module, tally)
        case 1:
            tally.add(PartKind.TYPE_BYTES, body.remaining)
            tally.add(PartKind.CORE_TYPES, body.number())
        case 2:
            module.imports += len(_counted(body, PartKind.CORE_IMPORTS, tally))
        case 3:
            module.functions += len(_counted(body, PartKind.FUNCTIONS, tally))
        case 4:
            module.tables.extend(_table(body) for _ in _counted(body, PartKind.TABLES, tally))
        case 5:
            module.memories.extend(_memory(body) for _ in _counted(body, PartKind.MEMORIES, tally))
        case 10:
            _code(body, module.functions, tally)
        case _:
            raise RefusedBinaryError(f"it has a core module with section {section}, which is not supported")


def _counted(reader: Reader, kind: PartKind, tally: Tally) -> range:
    count = reader.number()
    tally.add(kind, count)
    return range(count)


def _custom(reader: Reader, module: CoreModule, tally: Tally) -> None:
    # Other custom sections, such as a debugger's, may have any size: the compiler does not read them.
    if reader.name() != "name":
        return
    module.name_sections.append(reader.position - len("name"))
    tally.add(PartKind.NAME_BYTES, reader.remaining)
    while not reader.exhausted:
        subsection, body = reader.section()
        tally.add(PartKind.SECTIONS, 1)
        if subsection == 0:
            body.name()  # the name of the module
        elif subsection == 1:
            names = body.number()
            tally.add(PartKind.FUNCTION_NAMES, names)
            for _ in range(names):
                _function_name(body)


def _function_name(reader: Reader) -> None:
    function, length = reader.number(), reader.number()
    if length > _MAX_FUNCTION_NAME_BYTES:
        raise RefusedBinaryError(
            f"the name of function {function} has {length} bytes; the limit is {_MAX_FUNCTION_NAME_BYTES}"
        )
    reader.skip(length)


def _code(reader: Reader, functions: int, tally: Tally) -> None:
    bodies = reader.number()
    if bodies != functions:
        raise RefusedBinaryError(f"it has a core module with {functions} functions, but with code for {bodies}")
    for function in range(bodies):
        tally.add(PartKind.LOCALS, _locals(reader.part(reader.number()), function))


def _locals(reader: Reader, function: int) -> int:
    declared = 0
    for _ in range(reader.number()):
        # An empty declaration counts as one, since reading it takes a step too.
        declared += max(reader.number(), 1)
        if declared > _MAX_LOCALS:
            raise RefusedBinaryError(f"{_nth(function)} has at least {declared} locals; the limit is {_MAX_LOCALS}")
        if reader.byte() not in _VALUE_TYPES:
            raise RefusedBinaryError(f"{_nth(function)} has a local whose type is not supported")
    return declared


def _nth(function: int) -> str:
    return f"function {function} of a core module (not counting imports)"


def _table(reader: Reader) -> int:
    if reader.byte() not in (_FUNCREF, _EXTERNREF):
        raise RefusedBinaryError(
            "it has a table that holds neither functions nor external references, which is not supported"
        )
    flags = reader.byte()
    if flags > 1:
        raise RefusedBinaryError("it has a table that is shared or 64-bit, which is not supported")
    minimum = reader.number()
    if flags:
        reader.number()
    return minimum


def _memory(reader: Reader) -> MemoryType:
    flags = reader.byte()
    if flags > 1:
        raise RefusedBinaryError(
            "it has a memory that is shared, 64-bit or has pages of its own size, which is not supported"
        )
    return MemoryType(minimum=reader.number(), maximum=reader.number() if flags else None)
