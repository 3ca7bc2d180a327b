;; Reads its environment without end.
(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $environment (canon lower (func $environment "get-environment")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "environment" (func $environment (param i32)))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (call $environment (i32.const 16))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "environment" (func $environment))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
