;; Asks for a TCP socket, and goes on when it is denied.
(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $codes (enum
      "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
      "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $code (type $imported-code))
    (export "error-code" (type $code (eq $imported-code)))
    (alias outer 1 $family (type $imported-family))
    (export "ip-address-family" (type $family (eq $imported-family)))
    (alias outer 1 $socket (type $imported-socket))
    (export "tcp-socket" (type $socket (eq $imported-socket)))
    (export "create-tcp-socket" (func
      (param "address-family" $family) (result (result (own $socket) (error $code)))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $create (canon lower (func $create "create-tcp-socket") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "create" (func $create (param i32 i32)))
    (func (export "on-message") (param i32 i32)
      (call $create (i32.const 0) (i32.const 16))
      ;; The result is an error (1), namely access-denied (1).
      (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.const 20)) (i32.const 1)) (then unreachable))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "create" (func $create))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
