;; Four memories: written by one segment, by two, by none, and one page before
;; its end.
(module
  (memory $code (export "code") 1)
  (memory $data (export "data") 4 8)
  (memory $scratch (export "scratch") 1)
  (memory $stack (export "stack") 1 1)
  (data (memory $data) (i32.const 0x3fffc) "last")
  (data (memory $code) (i32.const 0) "\7fcode")
  (data (memory $stack) (i32.const 0xf000) "top of stack")
  (data (memory $data) (i32.const 0) "first"))
