;; Exits in a start function, so that on-message, which would trap, is not called.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "exit" (func $exit (param i32)))
    (func $start (call $exit (i32.const 0)))
    (start $start)
    (func (export "on-message") (param i32 i32)
      unreachable))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "exit" (func $exit))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
