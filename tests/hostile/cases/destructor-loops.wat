;; Drops a resource of its own whose destructor never ends.
(component
  (core module $destructor
    (func (export "destroy") (param i32) (loop $again (br $again))))
  (core instance $destructor (instantiate $destructor))
  (type $thing (resource (rep i32) (dtor (core func $destructor "destroy"))))
  (core func $new (canon resource.new $thing))
  (core func $drop (canon resource.drop $thing))
  (core module $main
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)
      (call $drop (call $new (i32.const 1)))))
  (core instance $main (instantiate $main
    (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
