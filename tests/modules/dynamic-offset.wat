;; Segment 1 goes where the host says, and may trap there: nothing behind it is
;; baked, though segment 2 has a certain place.
(module
  (import "host" "base" (global $base i32))
  (memory (export "memory") 2)
  (data (i32.const 0x400) "certain")
  (data (global.get $base) "dynamic")
  (data (i32.const 0x1400) "behind the barrier"))
