;; Grows its memory as far as it can, touches every page, and traps if it got more than 16 MiB.
(component
  (core module $main
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "on-message") (param i32 i32)
      (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (if (i32.gt_u (memory.size) (i32.const 256)) (then unreachable))
      (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536)))))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $main "memory")) (realloc (core func $main "realloc")))))
