;; Logs while the host asks for memory for the message.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "log" (func (param "msg" string)))
    (export "send-message" (func
      (param "channel-id" string) (param "content" string) (result (result string (error string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (type $inside (func))
    (table (export "table") 1 funcref)
    (global $calls (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $inside) (i32.const 0))
      (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $host "log") (memory (core memory $libc "memory"))))
  (core func $send (canon lower (func $host "send-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "log" (func $log (param i32 i32)))
    (import "host" "send" (func $send (param i32 i32 i32 i32 i32)))
    (import "libc" "table" (table 1 funcref))
    (elem (i32.const 0) func $inside)
    (data (i32.const 64) "6a1d0000-0000-4000-8000-000000000003hello")
    (func $inside
      (call $log (i32.const 64) (i32.const 36)))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log)) (export "send" (func $send))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
