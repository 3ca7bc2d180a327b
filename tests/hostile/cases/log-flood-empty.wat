;; Logs an empty text a million times.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "log" (func (param "msg" string)))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $log (canon lower (func $host "log") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "log" (func $log (param i32 i32)))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (call $log (i32.const 0) (i32.const 0))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log" (func $log))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
