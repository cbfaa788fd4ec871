;; A shared memory follows the same rules; several threads see the result.
(module
  (memory (export "memory") 1 2 shared)
  (data (i32.const 0x200) "shared"))
