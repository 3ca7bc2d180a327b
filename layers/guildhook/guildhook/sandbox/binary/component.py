"""Reads a component: the names that it imports and exports, and the memories and tables of an instance.

Only the binary is read; nothing is compiled. A component is refused if it could hide a memory from the count, or if it
exceeds a limit that protects the compiler.
Format: https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from guildhook.model import MemoryType
from guildhook.sandbox.binary.core_module import CoreModule, read_core_module
from guildhook.sandbox.binary.reading import Reader, RefusedBinaryError
from guildhook.sandbox.binary.tally import PartKind, Tally

COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"

SCHEMA_SECTION = "guildhook:settings-schema"
"""The custom section that holds the schema of a plugin's settings."""
MAX_SCHEMA_BYTES = 64 * 1024

_MAX_NESTING = 8
"""The levels of components inside components."""

# These are limits of one instance of the whole component. A component can instantiate one module again and again, and
# nested components multiply that. A run has limits of its own, which are usually lower.
_MAX_INSTANCES = 1_000
"""The core instances of the instantiated component."""
_MAX_MEMORIES = 64
"""The memories of the instantiated component."""
_MAX_TABLES = 100
"""The tables of the instantiated component."""
_MAX_TABLE_ELEMENTS = 1_000_000
"""The elements of these tables at the start, together."""

_Item = TypeVar("_Item")

# The sort of a definition: two bytes for a core sort, one byte for any other.
_Sort = tuple[int, ...]
_CORE_MODULE: _Sort = (0x00, 0x11)
_COMPONENT: _Sort = (0x04,)


@dataclass(slots=True)
class Component:
    imports: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    """The names of items aliased from instances, at any level. Only functions named here can be called."""
    memories: list[MemoryType] = field(default_factory=list)
    """One entry for each memory of an instance."""
    tables: list[int] = field(default_factory=list)
    """The minimum number of elements of each table of an instance."""
    instances: int = 0
    """The number of instances inside an instance."""
    definitions: int = 0
    """The number of definitions that the compiler processes for an instance, including its inner instances."""
    modules: list[CoreModule] = field(default_factory=list)
    """The core modules, by index."""
    name_sections: list[int] = field(default_factory=list)
    """The name sections of all core modules, at any level; see CoreModule."""
    components: list["Component"] = field(default_factory=list)
    """The nested components, by index."""
    settings_schema: bytes | None = None
    """The raw contents of the section SCHEMA_SECTION. They are not parsed here."""


def read_component(wasm: bytes) -> Component:
    """Read a whole upload. Raises RefusedBinaryError."""
    reader = Reader(wasm, 0, len(wasm))
    reader.expect(COMPONENT_HEADER, "it is not a WebAssembly component")
    return _Parser().component(reader, ())


def without_section(wasm: bytes, name: str) -> bytes:
    """The component without its custom sections of this name. Raises RefusedBinaryError."""
    reader = Reader(wasm, 0, len(wasm))
    reader.expect(COMPONENT_HEADER, "it is not a WebAssembly component")
    kept = [COMPONENT_HEADER]
    while not reader.exhausted:
        start = reader.position
        section, body = reader.section()
        if section != 0 or body.name() != name:
            kept.append(wasm[start : reader.position])
    return b"".join(kept)


class _Parser:
    def __init__(self) -> None:
        self._tally = Tally()

    def component(self, reader: Reader, outer: tuple[Component, ...]) -> Component:
        """`outer` are the enclosing components, the outermost first."""
        if len(outer) >= _MAX_NESTING:
            raise RefusedBinaryError(
                f"its components are nested at least {len(outer) + 1} deep; the limit is {_MAX_NESTING}"
            )
        this = Component()
        while not reader.exhausted:
            section, body = reader.section()
            self._tally.add(PartKind.SECTIONS, 1)
            match section:
                case 0:
                    self._custom(body, this, outer)
                case 1:
                    module = read_core_module(body, self._tally)
                    this.modules.append(module)
                    this.name_sections.extend(module.name_sections)
                case 4:
                    this.components.append(self._nested(body, this, outer))
                case 2 | 5 | 6 | 8 | 10 | 11:
                    for _ in self._counted(body, this):
                        self._definition(section, body, this, outer)
                case 3 | 7:
                    self._tally.add(PartKind.TYPE_BYTES, body.remaining)
                    self._counted(body, this)
                case _:
                    raise RefusedBinaryError(f"it has a component with section {section}, which is not supported")
        return this

    def _custom(self, reader: Reader, this: Component, outer: tuple[Component, ...]) -> None:
        name = reader.name()
        if name == "component-name":
            self._tally.add(PartKind.NAME_BYTES, reader.remaining)
        elif name == SCHEMA_SECTION and not outer:
            # The section of a nested component describes the settings of that component alone.
            _settings_schema(reader, this)

    def _counted(self, reader: Reader, this: Component) -> Iterable[int]:
        count = reader.number()
        self._tally.add(PartKind.DEFINITIONS, count)
        this.definitions += count
        return range(count)

    def _nested(self, reader: Reader, this: Component, outer: tuple[Component, ...]) -> Component:
        reader.expect(COMPONENT_HEADER, "a component in it has a version other than 13, which is not supported")
        nested = self.component(reader, (*outer, this))
        this.uses |= nested.uses
        this.name_sections.extend(nested.name_sections)
        return nested

    def _definition(self, section: int, reader: Reader, this: Component, outer: tuple[Component, ...]) -> None:
        match section:
            case 2:
                self._core_instance(reader, this)
            case 5:
                self._instance(reader, this)
            case 6:
                _alias(reader, this, outer)
            case 8:
                _canonical_function(reader)
            case 10:
                this.imports.append(_extern_name(reader))
                _refuse_code(_extern_type(reader), "imports")
            case 11:
                _export(reader, this)

    def _core_instance(self, reader: Reader, this: Component) -> None:
        if _kind(reader, "core instance", 2) == 0:
            module = _at(this.modules, reader.number(), "core module")
            this.definitions += module.imports
            _instantiate(this, module.memories, module.tables)
        for _ in self._counted(reader, this):
            reader.name()
            reader.byte()
            reader.number()

    def _instance(self, reader: Reader, this: Component) -> None:
        of_component = _kind(reader, "instance", 2) == 0
        if of_component:
            component = _at(this.components, reader.number(), "component")
            this.instances += component.instances
            this.definitions += component.definitions
            _instantiate(this, component.memories, component.tables)
        for _ in self._counted(reader, this):
            if of_component:
                reader.name()
            else:
                _extern_name(reader)
            _refuse_code(_sort(reader), "passes on")
            reader.number()


def _settings_schema(reader: Reader, this: Component) -> None:
    if this.settings_schema is not None:
        raise RefusedBinaryError(f"it has the section {SCHEMA_SECTION} twice; keep one")
    if reader.remaining > MAX_SCHEMA_BYTES:
        raise RefusedBinaryError(
            f"its section {SCHEMA_SECTION} has {reader.remaining} bytes; the limit is {MAX_SCHEMA_BYTES}"
        )
    this.settings_schema = reader.take(reader.remaining)


def _instantiate(this: Component, memories: Sequence[MemoryType], tables: Sequence[int]) -> None:
    this.instances += 1
    this.memories.extend(memories)
    this.tables.extend(tables)
    for count, plural, most in (
        (this.instances, "inner instances", _MAX_INSTANCES),
        (this.definitions, "definitions, including its inner instances", PartKind.DEFINITIONS.most),
        (len(this.memories), "memories", _MAX_MEMORIES),
        (len(this.tables), "tables", _MAX_TABLES),
        (sum(this.tables), "table elements", _MAX_TABLE_ELEMENTS),
    ):
        if count > most:
            raise RefusedBinaryError(f"an instance of it has at least {count} {plural}; the limit is {most}")


def _alias(reader: Reader, this: Component, outer: tuple[Component, ...]) -> None:
    sort = _sort(reader)
    kind = _kind(reader, "alias", 3)
    first = reader.number()
    if kind == 0:
        this.uses.add(reader.name())
        _refuse_code(sort, "takes out of an instance")
    elif kind == 1:
        reader.name()
    else:
        index = reader.number()
        if sort in (_CORE_MODULE, _COMPONENT):
            scope = _at((this, *reversed(outer)), first, "enclosing component")
            if sort == _CORE_MODULE:
                this.modules.append(_at(scope.modules, index, "core module"))
            else:
                this.components.append(_at(scope.components, index, "component"))


def _canonical_function(reader: Reader) -> None:
    kind = reader.byte()
    match kind:
        case 0x00:  # lift
            _kind(reader, "canonical function", 1)
            reader.number()
            _canonical_options(reader)
            reader.number()
        case 0x01:  # lower
            _kind(reader, "canonical function", 1)
            reader.number()
            _canonical_options(reader)
        case 0x02 | 0x03 | 0x04:  # new, drop and rep of a resource
            reader.number()
        case _:
            raise RefusedBinaryError(
                f"it uses the canonical function 0x{kind:02x} of component async; build it synchronous"
            )


def _canonical_options(reader: Reader) -> None:
    for _ in range(reader.number()):
        option = reader.byte()
        match option:
            case 0x00:
                pass  # UTF-8
            case 0x01 | 0x02:
                # Converting such a text to UTF-8 would make it two or three times as large on the host.
                raise RefusedBinaryError("it passes text in an encoding other than UTF-8, which is not supported")
            case 0x03 | 0x04 | 0x05:  # memory, realloc, post-return
                reader.number()
            case _:
                raise RefusedBinaryError(
                    f"it uses the canonical option 0x{option:02x} of component async; build it synchronous"
                )


def _export(reader: Reader, this: Component) -> None:
    this.exports.append(_extern_name(reader))
    _refuse_code(_sort(reader), "exports")
    reader.number()
    if _kind(reader, "export type", 2) == 1:
        _extern_type(reader)


def _sort(reader: Reader) -> _Sort:
    sort = reader.byte()
    return (sort, reader.byte()) if sort == 0x00 else (sort,)


def _extern_name(reader: Reader) -> str:
    _kind(reader, "import and export name", 2)
    return reader.name()


def _extern_type(reader: Reader) -> _Sort:
    sort = _sort(reader)
    match sort[0]:
        case 0x02:
            raise RefusedBinaryError("it imports or exports a value, which is not supported")
        case 0x03 if _kind(reader, "type bound", 2) == 1:
            pass  # a fresh resource type
        case _:
            reader.number()
    return sort


def _kind(reader: Reader, noun: str, known: int) -> int:
    """The kind of a definition. Raises RefusedBinaryError unless it is below `known`."""
    kind = reader.byte()
    if kind >= known:
        raise RefusedBinaryError(f"it has a {noun} of kind {kind}, which is not supported")
    return kind


def _refuse_code(sort: _Sort, verb: str) -> None:
    if sort in (_CORE_MODULE, _COMPONENT):
        raise RefusedBinaryError(
            f"it {verb} a module or a component, which is refused, since that hides memories of an instance"
        )


def _at(space: Sequence[_Item], index: int, noun: str) -> _Item:
    if index >= len(space):
        raise RefusedBinaryError(f"it refers to {noun} {index}, which does not exist")
    return space[index]
