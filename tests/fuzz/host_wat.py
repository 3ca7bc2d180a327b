"""The host functions and some of WASI, lowered for a core module, as texts for the arguments of wat.plugin."""

from dataclasses import dataclass
from typing import Final

_ABI: Final = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'

_SETTINGS: Final = """
  (import "guildhook:plugin/settings@1.1.0" (instance $settings (export "get" (func (result string)))))
"""

_STATE: Final = """
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))
    (export "delete" (func (param "key" string)))))
"""

_WASI: Final = """
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $imported))
    (export "pollable" (type $pollable (eq $imported)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer 1 $error (type $imported))
    (export "error" (type $error (eq $imported)))
    (export "output-stream" (type $stream (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.check-write" (func
      (param "self" (borrow $stream)) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.write-zeroes" (func
      (param "self" (borrow $stream)) (param "len" u64) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $imported))
    (export "output-stream" (type $stream (eq $imported)))
    (export "get-stdout" (func (result (own $stream))))))
  (import "wasi:cli/stderr@0.2.9" (instance $stderr
    (alias outer 1 $stream (type $imported))
    (export "output-stream" (type $stream (eq $imported)))
    (export "get-stderr" (func (result (own $stream))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "initial-cwd" (func (result (option string))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $record)))
    (export "now" (func (result $datetime)))))
"""


@dataclass(frozen=True)
class Function:
    name: str
    parameters: tuple[str, ...]
    """i64, or the meaning of an i32: `size` counts the bytes from the `address` or `channel` before it."""
    source: str
    """The lowered function: instance and export, or the resource whose handle is dropped."""
    result: str = ""

    @property
    def import_name(self) -> str:
        """The name of the import in a core module. wat.plugin has a short name and a longer import name for a send."""
        return "send-message" if self.name == "send" else self.name

    @property
    def core_type(self) -> str:
        parameters = " ".join("i64" if p == "i64" else "i32" for p in self.parameters)
        return f"(param {parameters})" + (f" (result {self.result})" if self.result else "")

    @property
    def lowered(self) -> str:
        if self.source.startswith("drop "):
            return f"(core func ${self.name} (canon resource.drop {self.source.removeprefix('drop ')}))"
        return f"(core func ${self.name} (canon lower (func {self.source}) {_ABI}))"


_TEXT: Final = ("address", "size")

LOG: Final = Function("log", _TEXT, '$host "log"')
SEND: Final = Function("send", ("channel", "size", *_TEXT, "result"), '$host "send-message"')
GET_SETTINGS: Final = Function("settings", ("result",), '$settings "get"')
GET_STATE: Final = Function("get", (*_TEXT, "result"), '$state "get"')
SET_STATE: Final = Function("set", (*_TEXT, *_TEXT, "result"), '$state "set"')
DELETE_STATE: Final = Function("delete", _TEXT, '$state "delete"')
PLAIN: Final = (LOG, SEND, GET_SETTINGS, GET_STATE, SET_STATE, DELETE_STATE)
WASI: Final = (
    Function("block", ("pollable",), '$poll "[method]pollable.block"'),
    Function("poll", (*_TEXT, "result"), '$poll "poll"'),
    Function("subscribe", ("i64",), '$clock "subscribe-duration"', "i32"),
    Function("monotonic", (), '$clock "now"', "i64"),
    Function("check", ("stream", "result"), '$streams "[method]output-stream.check-write"'),
    Function("write", ("stream", *_TEXT, "result"), '$streams "[method]output-stream.blocking-write-and-flush"'),
    Function("zeroes", ("stream", "i64", "result"), '$streams "[method]output-stream.write-zeroes"'),
    Function("stdout", (), '$stdout "get-stdout"', "i32"),
    Function("stderr", (), '$stderr "get-stderr"', "i32"),
    Function("environment", ("result",), '$environment "get-environment"'),
    Function("cwd", ("result",), '$environment "initial-cwd"'),
    Function("exit", ("flag",), '$exit "exit"'),
    Function("bytes", ("i64", "result"), '$random "get-random-bytes"'),
    Function("u64", (), '$random "get-random-u64"', "i64"),
    Function("wall", ("result",), '$wall "now"'),
    Function("drop-stream", ("stream",), "drop $stream"),
    Function("drop-pollable", ("pollable",), "drop $pollable"),
)

FUNCTIONS: Final = {function.name: function for function in PLAIN + WASI}

# Each program begins with these calls, so that it has handles of every kind.
OPENING: Final = (("stdout", ()), ("stderr", ()), ("subscribe", (1_000,)))
FIRST_STREAMS: Final = (1, 2)
FIRST_POLLABLE: Final = 3

_BY_TEMPLATE: Final = ("log", "send")
"""The functions that wat.plugin lowers itself."""


def functions(with_wasi: bool) -> tuple[Function, ...]:
    return PLAIN + (WASI if with_wasi else ())


def imports(with_wasi: bool) -> str:
    return _SETTINGS + _STATE + (_WASI if with_wasi else "")


def lowered(with_wasi: bool) -> str:
    return "".join(f.lowered for f in functions(with_wasi) if f.name not in _BY_TEMPLATE)


def exported(with_wasi: bool, everything: bool = False) -> str:
    """Return the exports of an instance of core functions, without those that wat.plugin adds unless `everything`."""
    return "".join(
        f'(export "{f.import_name}" (func ${f.name}))'
        for f in functions(with_wasi)
        if everything or f.name not in _BY_TEMPLATE
    )


def core_imports(with_wasi: bool, everything: bool = False) -> str:
    return "".join(
        f'(import "host" "{f.import_name}" (func ${f.name} {f.core_type}))'
        for f in functions(with_wasi)
        if everything or f.name not in _BY_TEMPLATE
    )
