;; Fills the state with one value, and reads it a million times, with high limits of host calls and bytes.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))))
  (core module $libc
    (memory (export "memory") 3)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $state "get")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (func (export "on-message") (param i32 i32)
      (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 65536))
      (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 65535) (i32.const 131068))
      (loop $again
        (call $get (i32.const 0) (i32.const 1) (i32.const 16))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
