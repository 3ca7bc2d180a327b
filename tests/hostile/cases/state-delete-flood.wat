;; Sets a key and deletes it a million times.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))
    (export "delete" (func (param "key" string)))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $delete (canon lower (func $state "delete") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (import "host" "delete" (func $delete (param i32 i32)))
    (data (i32.const 64) "keyvalue")
    (func (export "on-message") (param i32 i32)
      (loop $again
        (call $set (i32.const 64) (i32.const 3) (i32.const 67) (i32.const 5) (i32.const 16))
        (call $delete (i32.const 64) (i32.const 3))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "set" (func $set)) (export "delete" (func $delete))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
