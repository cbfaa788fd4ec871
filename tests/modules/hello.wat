;; Two strings, a mebibyte apart: most of the memory is never written.
;; Static: two host pages of image for two mebibytes of memory.
(module
  (memory (export "memory") 32)
  (data (i32.const 0x400) "hello, memory\n")
  (data (i32.const 0x100400) "hello again, from one mebibyte up\n")
  (func (export "first") (result i32)
    (i32.load8_u (i32.const 0x400))))
