;; Later writes win: memory[8..24] reads "aaaaBBBBccBBaaaa".
(module
  (memory (export "memory") 1)
  (data (i32.const 8) "aaaaaaaaaaaaaaaa")
  (data (i32.const 12) "BBBBBBBB")
  (data (i32.const 16) "cc"))
