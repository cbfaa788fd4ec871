;; Offsets are 64-bit. The maximum is above 4 GiB, the minimum is small, so that
;; every engine can run it.
(module
  (memory (export "memory") i64 2 0x20000)
  (data (i64.const 0x10) "sixty-four bits")
  (data (i64.const 0x1fffe) "!!"))
