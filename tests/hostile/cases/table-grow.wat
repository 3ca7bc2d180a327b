;; Grows a table by a billion, then one by one without end.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (table $t 0 funcref)
    (func (export "on-message") (param i32 i32)
      (if (i32.ne (table.grow $t (ref.null func) (i32.const 1_000_000_000)) (i32.const -1)) (then unreachable))
      (loop $again
        (drop (table.grow $t (ref.null func) (i32.const 1)))
        (br $again))))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
