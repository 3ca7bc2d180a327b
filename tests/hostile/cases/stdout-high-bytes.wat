;; Prints bytes that are not valid UTF-8, without end.
(component
  (import "wasi:io/error@0.2.0" (instance $errors
    (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $imported))
    (export "error" (type $error (eq $imported)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.write" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.write-zeroes" (func
      (param "self" (borrow $output-stream)) (param "len" u64) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $imported))
    (export "output-stream" (type $output-stream (eq $imported)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $libc (instantiate $libc))
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.write")
    (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 0))
    (import "host" "stdout" (func $stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "on-message") (param i32 i32)
      (local $stdout i32)
      (local.set $stdout (call $stdout))
      (memory.fill (i32.const 64) (i32.const 0xff) (i32.const 4096))
      (loop $again
        (call $write (local.get $stdout) (i32.const 64) (i32.const 4096) (i32.const 16))
        (br $again))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "stdout" (func $stdout)) (export "write" (func $write))))))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $main "on-message")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
