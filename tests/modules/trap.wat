;; Segment 1 is one byte out of bounds. Segment 0 stays written, segment 2 never
;; is, and the instance never starts. The memory is imported, so the host sees it.
(module
  (import "host" "memory" (memory 1 1))
  (data (i32.const 0x10) "written")
  (data (i32.const 0xfffd) "trap")
  (data (i32.const 0x40) "not written"))
