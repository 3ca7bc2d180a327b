;; Reads the clock without end, by calls of the host that no limit counts.
(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance $clock
    (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $record)))
    (export "now" (func (result $datetime)))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $now (canon lower (func $clock "now") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "now" (func $now (param i32)))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (call $now (i32.const 16))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "now" (func $now))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
