;; Exports no on-message.
(component)
