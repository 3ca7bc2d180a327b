;; Sets a value, and then a key that is not valid UTF-8.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (data (i32.const 64) "keyvalue\ff\fe\80")
    (func (export "on-message") (param i32 i32)
      (call $set (i32.const 64) (i32.const 3) (i32.const 67) (i32.const 5) (i32.const 16))
      (call $set (i32.const 72) (i32.const 3) (i32.const 67) (i32.const 5) (i32.const 16))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "set" (func $set))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
