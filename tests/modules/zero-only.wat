;; Data that has no effect: a fresh memory is already zero. No run is needed.
(module
  (memory (export "memory") 1)
  (data (i32.const 0x100) "\00\00\00\00\00\00\00\00")
  (data (i32.const 0x8000) "\00\00\00\00"))
