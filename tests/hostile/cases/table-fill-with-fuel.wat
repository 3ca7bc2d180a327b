;; Fills and copies tables again and again, with fuel for hours.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (table $a 20_000 funcref)
    (table $b 20_000 funcref)
    (func (export "on-message") (param i32 i32)
      (loop $again
        (table.fill $a (i32.const 0) (ref.null func) (i32.const 20_000))
        (table.copy $b $a (i32.const 0) (i32.const 0) (i32.const 20_000))
        (br $again))))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
