;; The host decides the address of segment 1, which may trap: nothing after it is
;; baked, although the address of segment 2 is known.
(module
  (import "host" "base" (global $base i32))
  (memory (export "memory") 2)
  (data (i32.const 0x400) "certain")
  (data (global.get $base) "dynamic")
  (data (i32.const 0x1400) "after the barrier!"))
