;; Exports an on-message that takes a number.
(component
  (core module $main (func (export "on-message") (param i32)))
  (core instance $main (instantiate $main))
  (func (export "on-message") (param "msg-json" u32) (canon lift (core func $main "on-message"))))
