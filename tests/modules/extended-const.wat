;; Computed offsets that are known: sums, products, globals of the module itself.
;; Arithmetic wraps, so segment 2 is at 0x20.
(module
  (global $page i32 (i32.const 4096))
  (global $third i32 (i32.mul (global.get $page) (i32.const 3)))
  (memory (export "memory") 1)
  (data (i32.add (global.get $page) (i32.const 8)) "page + 8")
  (data (i32.sub (global.get $third) (i32.const 8)) "3 pages - 8")
  (data (i32.add (i32.const -16) (i32.const 48)) "wrapped"))
