;; A memory of 5,000 bytes, which is not a multiple of 64 KiB or of the host page. The
;; image consists of whole host pages; the program never sees what is past byte 5,000.
(module
  (memory (export "memory") 5000 (pagesize 1))
  (data (i32.const 0) "starts at nought")
  (data (i32.const 4992) "the end."))
