;; Imports the host's log with a result that it does not have.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance
    (export "log" (func (param "msg" string) (result string)))))
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
