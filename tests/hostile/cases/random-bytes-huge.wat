;; Asks for 2^64 - 1 random bytes.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $bytes (canon lower (func $random "get-random-bytes")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (func (export "on-message") (param i32 i32)
      (call $bytes (i64.const -1) (i32.const 8))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "bytes" (func $bytes))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
