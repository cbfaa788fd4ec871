;; An offset above 4 GiB that would be 16 if truncated to 32 bits. It traps.
(module
  (memory (export "memory") i64 1)
  (data (i64.const 0x8) "before")
  (data (i64.const 0x1_0000_0010) "never written"))
