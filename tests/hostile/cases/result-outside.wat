;; Sends, and passes an address beyond its memory for the result.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $send (canon lower (func $host "send-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32)))
    (data (i32.const 64) "6a1d0000-0000-4000-8000-000000000003hello")
    (func (export "on-message") (param i32 i32)
      (call $send (i32.const 64) (i32.const 36) (i32.const 100) (i32.const 5) (i32.const -4))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "send" (func $send))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
