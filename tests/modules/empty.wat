;; Empty segments: one at the start, and one exactly at the end, which is still in
;; bounds. Also a memory without pages.
(module
  (memory $one (export "one") 1)
  (memory $none (export "none") 0)
  (data (memory $one) (i32.const 0) "")
  (data (memory $one) (i32.const 0x10000) "")
  (data (memory $none) (i32.const 0) ""))
