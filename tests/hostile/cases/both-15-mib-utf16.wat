;; Sends the same 15 MiB of UTF-16 twice in one call, which is half as long again in UTF-8.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))))
  (core module $libc
    (memory (export "memory") 240)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $send (canon lower (func $host "send-message") string-encoding=utf16
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32)))
    (func (export "on-message") (param i32 i32)
      (memory.fill (i32.const 0) (i32.const 0xee) (i32.const 15_728_640))
      (call $send (i32.const 0) (i32.const 7_864_320) (i32.const 0) (i32.const 7_864_320) (i32.const 0))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "send" (func $send))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
