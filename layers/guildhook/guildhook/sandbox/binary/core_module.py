"""What a core module holds: memories and tables one by one, everything else counted, instructions never read.

A count that is too low for what follows hides nothing: such a module is invalid, and is refused before any of it is
compiled. Format: https://webassembly.github.io/spec/core/binary/modules.html
"""

from dataclasses import dataclass, field

from guildhook.model import MemoryType
from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError
from guildhook.sandbox.binary.tally import PartKind, Tally

MODULE_HEADER = b"\0asm\x01\0\0\0"

# Of one function. Toolchains come to 500.
_MAX_LOCALS = 5_000
"""The locals of a function."""
_MAX_FUNCTION_NAME_BYTES = 16_000
"""The bytes of a function's name. C++ templates reach 4,000. An error's backtrace repeats the names of functions."""

_FUNCREF, _EXTERNREF = 0x70, 0x6F
_VALUE_TYPES = frozenset({0x7F, 0x7E, 0x7D, 0x7C, 0x7B, _FUNCREF, _EXTERNREF})

# Sections of which only the number of entries matters.
_COUNTED = {
    6: PartKind.GLOBALS,
    7: PartKind.CORE_EXPORTS,
    9: PartKind.ELEMENTS,
    11: PartKind.DATA,
}
_IGNORED = (8, 12)
"""The start function, and the number of data segments."""


@dataclass(slots=True)
class CoreModule:
    """Only what an instance of it has of its own: imported memories and tables are counted where they come from."""

    memories: list[MemoryType] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    """How many elements each table has at least."""
    functions: int = 0
    imports: int = 0
    name_sections: list[int] = field(default_factory=list)
    """Where in the binary the word "name" stands that makes a section that of debug names."""


def read_core_module(reader: Reader, tally: Tally) -> CoreModule:
    """Raises RefusedBinaryError."""
    reader.expect(MODULE_HEADER, "a core module in it has another version")
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
            raise RefusedBinaryError(f"section {section} of a core module is not supported")


def _counted(reader: Reader, what: PartKind, tally: Tally) -> range:
    count = reader.number()
    tally.add(what, count)
    return range(count)


def _custom(reader: Reader, module: CoreModule, tally: Tally) -> None:
    # Other custom sections, like those of a debugger, are as large as they like: the compiler does not read them.
    if reader.name() != "name":
        return
    module.name_sections.append(reader.position - len("name"))
    tally.add(PartKind.NAME_BYTES, reader.remaining)
    while not reader.exhausted:
        subsection, body = reader.section()
        tally.add(PartKind.SECTIONS, 1)
        if subsection == 0:
            body.name()  # the module's
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
        raise RefusedBinaryError(f"a core module declares {functions} functions, and has code for {bodies}")
    for function in range(bodies):
        tally.add(PartKind.LOCALS, _locals(reader.part(reader.number()), function))


def _locals(reader: Reader, function: int) -> int:
    declared = 0
    for _ in range(reader.number()):
        # A declaration of no locals is a step all the same.
        declared += max(reader.number(), 1)
        if declared > _MAX_LOCALS:
            raise RefusedBinaryError(f"{_nth(function)} has at least {declared} locals; the limit is {_MAX_LOCALS}")
        if reader.byte() not in _VALUE_TYPES:
            raise RefusedBinaryError(f"{_nth(function)} has a local of a type that is not supported")
    return declared


def _nth(function: int) -> str:
    return f"function {function} of a core module, imported ones not counted,"


def _table(reader: Reader) -> int:
    if reader.byte() not in (_FUNCREF, _EXTERNREF):
        raise RefusedBinaryError(
            "a table in it holds neither functions nor external references; nothing else is supported"
        )
    flags = reader.byte()
    if flags > 1:
        raise RefusedBinaryError("a table in it is shared or 64-bit; neither is supported")
    minimum = reader.number()
    if flags:
        reader.number()
    return minimum


def _memory(reader: Reader) -> MemoryType:
    flags = reader.byte()
    if flags > 1:
        raise RefusedBinaryError("a memory in it is shared, 64-bit or has pages of its own size; none is supported")
    return MemoryType(minimum=reader.number(), maximum=reader.number() if flags else None)
