;; Hides a memory from inspection: a component receives the module that has it as an argument.
(component
  (core module $hidden (memory 256))
  (component $inner
    (import "hidden" (core module $hidden))
    (core instance (instantiate $hidden)))
  (instance (instantiate $inner (with "hidden" (core module $hidden))))
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
