"""The parts of wasmtime's C API that a run needs: the store, the call into the guest, and calls from guest to host.

The public Python bindings configure, compile and load, but a run does not use them, for three reasons. They convert
an argument whole, however long it is. They keep an exception of their own conversions in a variable of the process,
from where it surfaces in another run (`wasmtime/component/_enter.py`). Their objects take several times as long as
wasmtime itself.

Values are read and written as 64-bit words, in the layout of the pinned version of wasmtime. A test compares the
layouts with the declarations that come with that version.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_bool, c_char_p, c_int64, c_size_t, c_uint64, c_void_p, string_at
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from wasmtime import WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import LinkerInstance

# A value of the component model has its kind in the lowest byte of the first word. The next words hold a boolean or a
# number; the size and address of a text; the address of an option's value; or a result's ok flag and the address of
# its value. The address of an absent value is null.
VALUE_WORDS: Final = 4
BOOL: Final = 0
U64: Final = 8
STRING: Final = 12
OPTION: Final = 18
RESULT: Final = 19
_PAYLOAD_BYTES: Final = 8
"""The offset of the payload in a value."""

INSTANCE_WORDS: Final = 2
FUNCTION_WORDS: Final = 4

# These types are kept, since ctypes creates an array type anew once nothing refers to it.
_Instance = c_uint64 * INSTANCE_WORDS
_Function = c_uint64 * FUNCTION_WORDS
_Value = c_uint64 * VALUE_WORDS
_ARGUMENTS: Final = tuple(c_uint64 * (VALUE_WORDS * count) for count in range(3))
"""Array types by number of arguments; host functions take at most two."""


class _TextValue(ctypes.Structure):
    """A text value whose bytes belong to Python."""

    _fields_ = (("kind", c_uint64), ("size", c_size_t), ("data", c_char_p), ("_rest", c_uint64))


_Callback = ctypes.CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)

# Functions that run the guest release the GIL, so that the epoch thread goes on; functions that return at once keep it.
_running = ctypes.CDLL(str(ffi.filename))
_instant = ctypes.PyDLL(str(ffi.filename))


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]
    function.restype, function.argtypes = result, arguments
    return function


_store_new = _function(_instant, "wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
_store_context = _function(_instant, "wasmtime_store_context", c_void_p, c_void_p)
_store_limiter = _function(_instant, "wasmtime_store_limiter", None, c_void_p, *[c_int64] * 5)
_store_delete = _function(_instant, "wasmtime_store_delete", None, c_void_p)
_set_fuel = _function(_instant, "wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
_get_fuel = _function(_instant, "wasmtime_context_get_fuel", c_void_p, c_void_p, c_void_p)
_set_epoch_deadline = _function(_instant, "wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
_byte_vec_new = _function(_instant, "wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
_value_new = _function(_instant, "wasmtime_component_val_new", c_void_p, c_void_p)
_error_new = _function(_instant, "wasmtime_error_new", c_size_t, c_char_p)
_add_function = _function(
    _instant, "wasmtime_component_linker_instance_add_func", c_void_p, c_void_p, c_char_p, c_size_t, _Callback,
    c_void_p, c_void_p,
)  # fmt: skip
_get_function = _function(
    _instant, "wasmtime_component_instance_get_func", c_bool, c_void_p, c_void_p, c_void_p, c_void_p
)
_instantiate = _function(
    _running, "wasmtime_component_linker_instantiate", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
_call = _function(
    _running, "wasmtime_component_func_call", c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t
)


class Text(msgspec.Struct, frozen=True, gc=False):
    """A text that the guest passes. It lies in wasmtime's memory, and is freed when the host function returns."""

    address: int
    size: int
    """The number of bytes in UTF-8."""

    def read(self, max_bytes: int) -> str:
        """The first `max_bytes` of the text, cut between two characters. The rest is not read."""
        return string_at(self.address, min(self.size, max_bytes)).decode(errors="ignore")


class Ok(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    """None for a result without a value."""


class Err(msgspec.Struct, frozen=True, gc=False):
    text: str


class Option(msgspec.Struct, frozen=True, gc=False):
    text: str | None


Argument = Text | bool
HostResult = None | int | str | Ok | Err | Option
"""The return value of a host function. In WIT: nothing, u64, string, result<string, string> or result<_, string>,
option<string>."""

HostFunction = Callable[[list[Argument]], HostResult]


class Store:
    """The store of one run. It enforces the limits, and owns everything that the run creates."""

    __slots__ = ("_context", "_fuel", "_store")

    def __init__(self, engine: int) -> None:
        """`engine` is the address of the engine in wasmtime."""
        self._store = _store_new(engine, None, None)
        self._context = _store_context(self._store)
        self._fuel = c_uint64()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _store_delete(self._store)

    def limit(
        self, *, memory_bytes: int, memories: int, tables: int, table_elements: int, instances: int, ticks: int
    ) -> None:
        """`memory_bytes` limits each memory, `table_elements` each table; the deadline is in `ticks` of the epoch."""
        _store_limiter(self._store, memory_bytes, table_elements, instances, tables, memories)
        _set_epoch_deadline(self._context, ticks)

    def get_fuel(self) -> int:
        _check(_get_fuel(self._context, ctypes.byref(self._fuel)))
        return self._fuel.value

    def set_fuel(self, fuel: int) -> None:
        _check(_set_fuel(self._context, fuel))

    def instantiate(self, linker: int, component: int, export: int) -> "GuestFunction | None":
        """Instantiate a component and look up its exported function, None if there is none. Arguments are addresses.

        Raises WasmtimeError.
        """
        instance, function = _Instance(), _Function()
        _check(_instantiate(linker, self._context, component, instance))
        found = _get_function(instance, self._context, export, function)
        return GuestFunction(self._context, function) if found else None


class GuestFunction:
    """A guest function that takes one text and returns nothing."""

    __slots__ = ("_context", "_function")

    def __init__(self, context: int, function: Any) -> None:
        self._context = context
        self._function = function

    def __call__(self, text: bytes) -> None:
        """`text` is UTF-8. Raises WasmtimeError."""
        # wasmtime borrows the text during the call, and copies it into the guest.
        argument = _TextValue(STRING, len(text), text)
        _check(_call(self._function, self._context, ctypes.byref(argument), 1, None, 0))


def address(wrapped: Any) -> int:
    """The address of the wasmtime object behind an object of the bindings, which must outlive every use of it."""
    found: int = ctypes.cast(wrapped.ptr(), c_void_p).value  # type: ignore[assignment]
    return found


def define(
    instance: LinkerInstance, name: str, function: HostFunction, failed: Callable[[BaseException], None]
) -> object:
    """Add a host function. An exception in it ends the guest and is passed to `failed`.

    The caller must keep the returned object for as long as the linker.
    """

    def call(_data: Any, _context: Any, _type: Any, arguments: int, count: int, results: int, result_count: int) -> int:
        try:
            _write(function(_read(arguments, count)), results, result_count)
        except BaseException as error:  # noqa: BLE001 - an exception that leaves here is undefined behaviour in C
            failed(error)
            # wasmtime takes ownership of the error. The host has recorded the reason, so the text says nothing.
            ended: int = _error_new(b"ended by the host")
            return ended
        return 0

    callback = _Callback(call)
    encoded = name.encode()
    _check(_add_function(address(instance), encoded, len(encoded), callback, None, None))
    return callback


def _read(address: int, count: int) -> list[Argument]:
    words = _ARGUMENTS[count].from_address(address)[:] if count else ()
    arguments: list[Argument] = []
    for start in range(0, count * VALUE_WORDS, VALUE_WORDS):
        kind = words[start] & 0xFF
        if kind == STRING:
            arguments.append(Text(words[start + 2], words[start + 1]))
        elif kind == BOOL:
            arguments.append(bool(words[start + 1] & 0xFF))
        else:
            raise TypeError(f"an argument has kind {kind}, which no host function takes")
    return arguments


def _write(answer: HostResult, results: int, count: int) -> None:
    """Write the result. wasmtime takes ownership of it, and refuses it if the function has another type."""
    if (answer is None) != (count == 0):
        raise TypeError(f"the host function returned {type(answer).__name__}, where {count} results are expected")
    if answer is None:
        return
    words = _Value.from_address(results)
    if isinstance(answer, (Ok, Err)):
        words[0], words[1], words[2] = RESULT, isinstance(answer, Ok), _new_text(answer.text)
    elif isinstance(answer, str):
        _write_text(answer, words)
    elif isinstance(answer, Option):
        words[0], words[1] = OPTION, _new_text(answer.text)
    else:
        words[0], words[1] = U64, answer


def _new_text(text: str | None) -> int:
    """The address of a new value in wasmtime's memory; null for None."""
    if text is None:
        return 0
    value = _Value()
    _write_text(text, value)
    new: int = _value_new(value)
    return new


def _write_text(text: str, words: Any) -> None:
    encoded = text.encode(errors="replace")  # UTF-8 cannot encode a lone surrogate
    words[0] = STRING
    _byte_vec_new(ctypes.addressof(words) + _PAYLOAD_BYTES, len(encoded), encoded)


def _check(error: int | None) -> None:
    if error:
        raise WasmtimeError._from_ptr(ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t)))  # noqa: SLF001
