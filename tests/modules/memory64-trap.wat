;; An offset that is 16 once cut to 32 bits, and 4 GiB away as written. Traps.
(module
  (memory (export "memory") i64 1)
  (data (i64.const 0x8) "before")
  (data (i64.const 0x1_0000_0010) "never written"))
