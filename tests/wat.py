"""Plugins for the tests, written as WebAssembly text."""

from functools import lru_cache

from wasmtime import wat2wasm

_PLUGIN = """
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "log" (func (param "msg" string)))
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))))
  {imports}
  (core module $libc
    (memory (export "memory") {memory})
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $top)
      (global.set $top (i32.and (i32.add (i32.add (global.get $top) (local.get 3)) (i32.const 15)) (i32.const -16)))))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $host "log") (memory (core memory $libc "memory"))))
  (core func $send (canon lower (func $host "send-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  {lowered}
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "log" (func $log (param i32 i32)))
    (import "host" "send-message" (func $send (param i32 i32 i32 i32 i32)))
    {body})
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log)) (export "send-message" (func $send)) {exported}))))
  (func (export "on-message") (param "msg-json" string) (canon lift
    (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""


@lru_cache
def plugin(body: str, memory: str = "2", imports: str = "", lowered: str = "", exported: str = "") -> bytes:
    """A plugin whose core module has `body`, which exports on-message(i32, i32).

    It can call $log(text, length) and $send(channel, length, content, length, result); `memory` are its limits.
    """
    wat = _PLUGIN.format(body=body, memory=memory, imports=imports, lowered=lowered, exported=exported)
    return bytes(wat2wasm(wat))


def on_message(code: str, declarations: str = "") -> str:
    return f'{declarations} (func (export "on-message") (param $message i32) (param $length i32) {code})'


SILENT = plugin(on_message(""))
"""Does nothing."""
TRAPS = plugin(on_message("unreachable"))
LOOPS = plugin(on_message("(loop (br 0))"))
ECHOES_TO_LOG = plugin(on_message("(call $log (local.get $message) (local.get $length))"))


ENVIRONMENT = plugin(
    on_message(
        # A list of pairs of texts: log the name and the value of each.
        """(local $at i32) (local $end i32)
        (call $environment (i32.const 8))
        (local.set $at (i32.load (i32.const 8)))
        (local.set $end (i32.add (local.get $at) (i32.mul (i32.load (i32.const 12)) (i32.const 16))))
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (call $log (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
          (call $log (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next)))""",
        '(import "host" "environment" (func $environment (param i32)))',
    ),
    imports="""(import "wasi:cli/environment@0.2.9" (instance $env
        (export "get-environment" (func (result (list (tuple string string)))))))""",
    lowered="""(core func $environment (canon lower (func $env "get-environment")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))""",
    exported='(export "environment" (func $environment))',
)
"""Logs name and value of each variable of its environment."""


def logs(text: str, times: int = 1) -> bytes:
    call = f"(call $log (i32.const 16) (i32.const {len(text.encode())}))"
    return plugin(on_message(call * times, _data(16, text)))


def sends(*messages: tuple[str, str], then: str = "") -> bytes:
    """Sends each (channel id, content) in turn, and then runs `then`."""
    code, data, at = "", "", 64
    for channel, content in messages:
        channel_size, content_size = len(channel.encode()), len(content.encode())
        data += _data(at, channel) + _data(at + channel_size, content)
        code += (
            f"(call $send (i32.const {at}) (i32.const {channel_size})"
            f" (i32.const {at + channel_size}) (i32.const {content_size}) (i32.const 16))"
        )
        at += channel_size + content_size
    return plugin(on_message(code + then, data))


def tells_settings(channel: str) -> bytes:
    """Sends its settings, as the host gives them, to the channel."""
    return plugin(
        on_message(
            f"""(call $settings (i32.const 8))
            (call $send (i32.const 64) (i32.const {len(channel.encode())})
              (i32.load (i32.const 8)) (i32.load (i32.const 12)) (i32.const 16))""",
            f'(import "host" "settings" (func $settings (param i32))) {_data(64, channel)}',
        ),
        imports="""(import "guildhook:plugin/settings@1.1.0" (instance $settings
            (export "get" (func (result string)))))""",
        lowered="""(core func $settings (canon lower (func $settings "get")
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))""",
        exported='(export "settings" (func $settings))',
    )


_STATE_IMPORTS = """
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))
    (export "delete" (func (param "key" string)))))
"""
_STATE_LOWERED = """
  (core func $get (canon lower (func $state "get")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $delete (canon lower (func $state "delete") (memory (core memory $libc "memory"))))
"""
_STATE_EXPORTED = '(export "get" (func $get)) (export "set" (func $set)) (export "delete" (func $delete))'
_STATE_DECLARED = """
  (import "host" "get" (func $get (param i32 i32 i32)))
  (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
  (import "host" "delete" (func $delete (param i32 i32)))
  (data (i32.const 32) "(none)")
"""
# Logs the result at 16: a `some` and an `err` begin with 1, and are followed by a text.
_LOG_TEXT = "(call $log (i32.load (i32.const 20)) (i32.load (i32.const 24)))"
_STATE_ANSWER = {
    "get": f"(if (i32.load8_u (i32.const 16)) (then {_LOG_TEXT}) (else (call $log (i32.const 32) (i32.const 6))))",
    "set": f"(if (i32.load8_u (i32.const 16)) (then {_LOG_TEXT}))",
    "delete": "",
}


def remembers(*calls: tuple[str | bytes, ...], then: str = "", start: bool = False) -> bytes:
    """Calls the state: ("get", key), ("set", key, value) or ("delete", key) each in turn, and then runs `then`.

    Logs the text that it gets or "(none)", and why a set was refused. With `start` it does all that in its start
    function.
    """
    code, data, at = "", _STATE_DECLARED, 2**20
    for name, *texts in calls:
        assert isinstance(name, str)
        arguments = ""
        for text in texts:
            encoded = text.encode() if isinstance(text, str) else text
            data += _data(at, encoded)
            arguments += f"(i32.const {at}) (i32.const {len(encoded)})"
            at += len(encoded)
        result = "" if name == "delete" else "(i32.const 16)"
        code += f"(call ${name} {arguments} {result}) {_STATE_ANSWER[name]}"
    body = f"{data} (func $start {code} {then}) (start $start)" if start else data
    return plugin(
        on_message("" if start else code + then, body),
        memory="64",
        imports=_STATE_IMPORTS,
        lowered=_STATE_LOWERED,
        exported=_STATE_EXPORTED,
    )


def _data(at: int, text: str | bytes) -> str:
    escaped = "".join(f"\\{byte:02x}" for byte in (text.encode() if isinstance(text, str) else text))
    return f'(data (i32.const {at}) "{escaped}")'
