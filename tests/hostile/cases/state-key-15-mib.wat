;; Gets a key of 15 MiB.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))))
  (core module $libc
    (memory (export "memory") 240)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $state "get")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (func (export "on-message") (param i32 i32)
      (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 15_728_640))
      (call $get (i32.const 0) (i32.const 15_728_640) (i32.const 0))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get" (func $get))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
