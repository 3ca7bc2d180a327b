;; Sets a value of 15 MiB, with limits that allow the bytes and the fuel.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))))
  (core module $libc
    (memory (export "memory") 240)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (func (export "on-message") (param i32 i32)
      (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 15_728_640))
      (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 15_728_640) (i32.const 0))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "set" (func $set))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
