;; Creates handles of its own resource without end and drops none, to use up memory of the host.
(component
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core module $main
    (import "" "new" (func $new (param i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)
      (loop $again
        (drop (call $new (i32.const 1)))
        (br $again))))
  (core instance $main (instantiate $main (with "" (instance (export "new" (func $new))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
