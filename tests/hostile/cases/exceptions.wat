;; Catches traps of the host by exception handling.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (tag $t)
    (func $f (block $caught (try_table (catch_all $caught) (throw $t))))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
