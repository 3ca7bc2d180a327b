;; Sets 300 keys, while a state may have 256.
(component
  (import "guildhook:plugin/state@1.2.0" (instance $state
    (export "set" (func (param "key" string) (param "value" string) (result (result (error string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $set (canon lower (func $state "set")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32)))
    (global $next (mut i32) (i32.const 0))
    ;; The key is the number as four characters from "A" to "P", and the value is the first of them.
    (func $set-next (local $number i32) (local $at i32)
      (local.set $number (global.get $next))
      (local.set $at (i32.const 64))
      (loop $digit
        (i32.store8 (local.get $at) (i32.add (i32.and (local.get $number) (i32.const 15)) (i32.const 65)))
        (local.set $number (i32.shr_u (local.get $number) (i32.const 4)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $digit (i32.lt_u (local.get $at) (i32.const 68))))
      (global.set $next (i32.add (global.get $next) (i32.const 1)))
      (call $set (i32.const 64) (i32.const 4) (i32.const 64) (i32.const 1) (i32.const 16)))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (call $set-next)
        (br_if $again (i32.lt_u (global.get $next) (i32.const 300))))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "set" (func $set))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
