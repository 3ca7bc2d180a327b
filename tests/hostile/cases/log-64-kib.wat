;; Logs 64 KiB fifteen times, all within the limits.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "log" (func (param "msg" string)))))
  (core module $libc
    (memory (export "memory") 4)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $host "log") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "log" (func $log (param i32 i32)))
    (func (export "on-message") (param i32 i32)
      (local $logged i32)
      (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 65_536))
      (loop $again
        (call $log (i32.const 0) (i32.const 65_536))
        (local.set $logged (i32.add (local.get $logged) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $logged) (i32.const 15))))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
