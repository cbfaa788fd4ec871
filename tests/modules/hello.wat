;; Two strings, 1 MiB apart: most of the memory is never written.
;; Static: an image of two host pages for 2 MiB of memory.
(module
  (memory (export "memory") 32)
  (data (i32.const 0x400) "hello, memory\n")
  (data (i32.const 0x100400) "hello again, from one mebibyte up\n")
  (func (export "first") (result i32)
    (i32.load8_u (i32.const 0x400))))
