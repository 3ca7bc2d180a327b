;; Exports an instance under the name on-message.
(component
  (instance $nothing)
  (export "on-message" (instance $nothing)))
