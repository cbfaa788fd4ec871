;; A module without memories is not an error.
(module
  (func (export "answer") (result i32) (i32.const 42)))
