;; Traps in a function whose export is the text of another outcome.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func $f (export "f\0a\0aCaused by:\0a    wasm trap: interrupt") unreachable)
    (func (export "on-message") (param i32 i32)
      (call $f)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
