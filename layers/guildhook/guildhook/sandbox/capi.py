"""Host functions and calls on wasmtime's C API, for the few types that cross the sandbox's boundary.

The public bindings offer both, and are not used for them: they convert an argument whole, however long it is, and
they keep what their own conversions raise in a variable of the process, from where it surfaces in another run
(`wasmtime/component/_enter.py`). The declarations are theirs, made from the stable C header.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import wasmtime
from wasmtime import WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Func, LinkerInstance

_BOOL: Final = ffi.WASMTIME_COMPONENT_BOOL.value
_U64: Final = ffi.WASMTIME_COMPONENT_U64.value
_STRING: Final = ffi.WASMTIME_COMPONENT_STRING.value
_RESULT: Final = ffi.WASMTIME_COMPONENT_RESULT.value

_NO_FINALIZER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(0)


class Text:
    """A text that the guest passes, in memory of wasmtime's: gone when the host function returns."""

    __slots__ = ("_vector",)

    def __init__(self, vector: Any) -> None:
        self._vector = vector

    @property
    def size(self) -> int:
        """In bytes of UTF-8."""
        size: int = self._vector.size
        return size

    def read(self, max_bytes: int) -> str:
        """Its beginning, cut between two characters. Nothing beyond `max_bytes` is looked at."""
        return ctypes.string_at(self._vector.data, min(self.size, max_bytes)).decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Ok:
    text: str


@dataclass(frozen=True, slots=True)
class Err:
    text: str


Argument = Text | bool
Answer = None | int | str | Ok | Err
"""What a host function returns, as WIT has it: nothing, u64, string, result<string, string>."""

HostFunction = Callable[[list[Argument]], Answer]


def define(
    instance: LinkerInstance, name: str, function: HostFunction, failed: Callable[[BaseException], None]
) -> object:
    """Add a host function. Whatever it raises is given to `failed`, and ends the guest.

    What is returned must live as long as the linker.
    """

    def call(_data: Any, _context: Any, _type: Any, arguments: Any, count: int, results: Any, result_count: int) -> int:
        try:
            _answer(function([_argument(arguments[i]) for i in range(count)]), results, result_count)
        except BaseException as error:  # noqa: BLE001 - what leaves here is undefined behaviour in C
            failed(error)
            return _new_error()
        return 0

    callback = ffi.wasmtime_component_func_callback_t(call)
    _check(
        ffi.wasmtime_component_linker_instance_add_func(
            instance.ptr(), ctypes.create_string_buffer(name.encode()), len(name.encode()), callback, 0, _NO_FINALIZER
        )
    )
    return callback


def call_with_text(store: wasmtime.Store, function: Func, text: bytes) -> None:
    """Call a function of one string, given in UTF-8, that returns nothing. Raises WasmtimeError."""
    argument = ffi.wasmtime_component_val_t()
    argument.kind = _STRING
    # Borrowed for the call: wasmtime copies it into the guest.
    argument.of.string.data = ctypes.cast(ctypes.c_char_p(text), ctypes.POINTER(ctypes.c_uint8))
    argument.of.string.size = len(text)
    context = store._context()  # noqa: SLF001
    _check(ffi.wasmtime_component_func_call(ctypes.byref(function._func), context, argument, 1, None, 0))  # noqa: SLF001


def _new_error() -> int:
    """The address of an error, which wasmtime takes over. Why the guest ended is known to the host, not to it."""
    error = ffi.wasmtime_error_new(b"ended by the host")
    address: int = ctypes.cast(error, ctypes.c_void_p).value  # type: ignore[assignment]
    return address


def _argument(value: Any) -> Argument:
    if value.kind == _STRING:
        return Text(value.of.string)
    if value.kind == _BOOL:
        flag: bool = value.of.boolean
        return flag
    raise TypeError(f"an argument of kind {value.kind}, which no host function takes")


def _answer(answer: Answer, results: Any, count: int) -> None:
    """wasmtime takes over what is written, and refuses what is not of the function's type."""
    if (answer is None) != (count == 0):
        raise TypeError(f"an answer of type {type(answer).__name__}, where {count} results are expected")
    if answer is None:
        return
    value = results[0]
    match answer:
        case int():
            value.kind, value.of.u64 = _U64, answer
        case str():
            value.kind, value.of.string = _STRING, _copied(answer)
        case Ok() | Err():
            inner = ffi.wasmtime_component_val_t()
            inner.kind, inner.of.string = _STRING, _copied(answer.text)
            value.kind = _RESULT
            value.of.result.is_ok = isinstance(answer, Ok)
            value.of.result.val = ffi.wasmtime_component_val_new(ctypes.byref(inner))


def _copied(text: str) -> Any:
    encoded = text.encode(errors="replace")  # a lone surrogate has no UTF-8
    vector = ffi.wasm_name_t()
    ffi.wasm_byte_vec_new(
        ctypes.byref(vector), len(encoded), ctypes.cast(ctypes.c_char_p(encoded), ctypes.POINTER(ctypes.c_uint8))
    )
    return vector


def _check(error: Any) -> None:
    if error:
        raise WasmtimeError._from_ptr(error)  # noqa: SLF001
