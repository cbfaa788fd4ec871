;; The program that the examples run. A new instance returns 42, 43, and grows from 2 pages.
(module
  (memory (export "memory") 2 16)
  (data (i32.const 1024) "\29\00\00\00")
  (data (i32.const 70000) "in the second page")

  ;; Counts in memory.
  (func (export "next") (result i32)
    (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 1)))
    (i32.load (i32.const 1024)))

  ;; Grows the memory by a page and writes to it. Returns the size before in pages, or -1 if
  ;; the page was not zero.
  (func (export "grow") (result i32) (local $pages i32) (local $addr i32)
    (local.set $pages (memory.grow (i32.const 1)))
    (local.set $addr (i32.shl (local.get $pages) (i32.const 16)))
    (if (i32.load (local.get $addr))
      (then (return (i32.const -1))))
    (i32.store (local.get $addr) (i32.const 7))
    (local.get $pages)))
