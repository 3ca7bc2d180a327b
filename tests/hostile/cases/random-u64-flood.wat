;; Asks for random numbers without end.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $u64 (canon lower (func $random "get-random-u64")))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "u64" (func $u64 (result i64)))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (drop (call $u64))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "u64" (func $u64))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
