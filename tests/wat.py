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


def _data(at: int, text: str) -> str:
    escaped = "".join(f"\\{byte:02x}" for byte in text.encode())
    return f'(data (i32.const {at}) "{escaped}")'
