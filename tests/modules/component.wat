;; A component with two core modules, each with its own memory.
(component
  (core module $first
    (memory (export "memory") 1)
    (data (i32.const 0x100) "first of two"))
  (core module $second
    (memory (export "memory") 2)
    (data (i32.const 0x10100) "second of two")))
