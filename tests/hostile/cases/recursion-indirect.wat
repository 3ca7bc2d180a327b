;; Two functions call each other through a table, with many arguments, until the stack overflows.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
    (table 2 2 funcref)
    (elem (i32.const 0) func $ping $pong)
    (func $ping (type $many)
      (call_indirect (type $many)
        (local.get 7) (local.get 6) (local.get 5) (local.get 4)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0) (i32.const 1)))
    (func $pong (type $many)
      (call_indirect (type $many)
        (local.get 7) (local.get 6) (local.get 5) (local.get 4)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0) (i32.const 0)))
    (func (export "on-message") (param i32 i32)
      (call $ping
        (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3)
        (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7))))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
