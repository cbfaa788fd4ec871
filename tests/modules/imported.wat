;; Only a defined memory is known to be zero, so only memory 1 can be baked.
;; Segment 0 is in bounds in any memory that can be imported: it is replayed, but is
;; not a barrier.
(module
  (import "host" "memory" (memory $theirs 1))
  (memory $ours (export "ours") 1)
  (data (memory $theirs) (i32.const 0x100) "theirs")
  (data (memory $ours) (i32.const 0x100) "ours"))
