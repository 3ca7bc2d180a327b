;; Sets, gets and deletes a key that is one byte too long.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))
    (export "delete" (func (param "key" string)))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $state "get")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $delete (canon lower (func $state "delete") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (import "host" "delete" (func $delete (param i32 i32)))
    (func (export "on-message") (param i32 i32)
      (memory.fill (i32.const 64) (i32.const 0x61) (i32.const 257))
      (call $set (i32.const 64) (i32.const 257) (i32.const 64) (i32.const 1) (i32.const 16))
      (call $get (i32.const 64) (i32.const 257) (i32.const 16))
      (call $delete (i32.const 64) (i32.const 257))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get" (func $get)) (export "set" (func $set)) (export "delete" (func $delete))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
