;; Creates garbage-collected objects, which no limit counts.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (type $a (array (mut i8)))
    (func $f (drop (array.new_default $a (i32.const 1_000_000_000))))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
