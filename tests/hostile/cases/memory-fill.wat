;; Fills 15 MiB again and again, with one instruction each time.
(component
  (core module $main
    (memory (export "memory") 240)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 15_728_640))
        (br $again))))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
