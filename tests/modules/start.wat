;; The start function runs after all data is written, and is not part of the image.
(module
  (memory (export "memory") 1)
  (data (i32.const 0x30) "\01\02\03\04")
  (start $start)
  (func $start
    (i32.store (i32.const 0x30) (i32.const 0))))
