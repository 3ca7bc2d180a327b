;; Exports a function of the host as its own on-message.
(component
  (import "guildhook:plugin/host-api@1.0.0" (instance $host
    (export "log" (func (param "msg" string)))))
  (export "on-message" (func $host "log")))
