;; Passes the same list of 7 MiB 100,000 times to another component of its own, which would copy 700 GB.
(component
  (component $inner
    (core module $main
      (memory (export "memory") 120 120)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
      (func (export "take") (param i32 i32)))
    (core instance $main (instantiate $main))
    (func (export "take") (param "lists" (list (list u8))) (canon lift (core func $main "take")
      (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
  (instance $inner (instantiate $inner))
  (core module $libc
    (memory (export "memory") 120 120)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
  (core instance $libc (instantiate $libc))
  (core func $take (canon lower (func $inner "take") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "inner" "take" (func $take (param i32 i32)))
    (func (export "on-message") (param i32 i32)
      (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.const 0))
        (i32.store offset=4 (local.get $at) (i32.const 7_340_032))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 800_000))))
      (call $take (i32.const 0) (i32.const 100_000))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc)) (with "inner" (instance (export "take" (func $take))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
