;; Exits with success while the host asks for memory for the message.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core module $libc
    (memory (export "memory") 2)
    (type $inside (func))
    (table (export "table") 1 funcref)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call_indirect (type $inside) (i32.const 0))
      (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "exit" (func $exit (param i32)))
    (import "libc" "table" (table 1 funcref))
    (elem (i32.const 0) func $inside)
    (func $inside (call $exit (i32.const 0)))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "exit" (func $exit))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
