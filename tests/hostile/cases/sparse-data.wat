;; Has memories of 15 MiB with a byte at each end, so that an upload of 500 bytes compiles to 120 MiB.
(component
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module (memory 240) (data (i32.const 0) "a") (data (i32.const 15_728_639) "a"))
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
