;; Returns an address beyond its memory when the host asks for memory for a value.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "get" (func (param "key" string) (result (option string))))
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (global $calls (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (select (i32.const 65536) (i32.const -16) (i32.eq (global.get $calls) (i32.const 1)))))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $state "get")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (data (i32.const 64) "keyvalue")
    (func (export "on-message") (param i32 i32)
      (call $set (i32.const 64) (i32.const 3) (i32.const 67) (i32.const 5) (i32.const 16))
      (call $get (i32.const 64) (i32.const 3) (i32.const 16))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get" (func $get)) (export "set" (func $set))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
