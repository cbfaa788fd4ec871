;; A memory of 5,000 bytes: neither a wasm page nor a host page long. The image
;; is whole host pages; what is past byte 5,000 the program never sees.
(module
  (memory (export "memory") 5000 (pagesize 1))
  (data (i32.const 0) "starts at nought")
  (data (i32.const 4992) "the end."))
