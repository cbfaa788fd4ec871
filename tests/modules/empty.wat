;; Empty segments: at the start, and exactly at the end, where the last one is
;; still in bounds. And a memory of no pages at all.
(module
  (memory $one (export "one") 1)
  (memory $none (export "none") 0)
  (data (memory $one) (i32.const 0) "")
  (data (memory $one) (i32.const 0x10000) "")
  (data (memory $none) (i32.const 0) ""))
