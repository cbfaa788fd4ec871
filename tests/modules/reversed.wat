;; Segments with descending addresses, the last two adjacent.
(module
  (memory (export "memory") 2)
  (data (i32.const 0x1fff0) "ends the memory.")
  (data (i32.const 0x9000) "middle")
  (data (i32.const 0x14) "second half")
  (data (i32.const 0x8) "first half, "))
