;; The module of the README's first command: one of everything that a compiler
;; puts in a memory, and one segment whose address is known only at start.
;;
;;   memory 0, 16 MiB                                        segment
;;   0x000400  read-only strings                             0
;;   0x001ff8  a table that crosses a host page boundary     1
;;   0x002000  one entry of that table, written again        2
;;   0x010000  what other toolchains put in .bss       3  zeros only
;;   0xc00000  a second heap, 12 MiB up                      4, 5
;;   $base+64  a relocatable library's data                  6  dynamic
;;
;; The last offset is `$base + 64`, and the host chooses `$base`. An all-or-nothing plan
;; replays every segment because of that one; ours bakes 0 to 5 and replays 6.
(module
  (import "host" "base" (global $base i32))
  (memory (export "memory") 256)

  (data (i32.const 0x400)
    "usage: tour [FILE]\n\00"
    "error: no such file\n\00"
    "error: not a picture\n\00"
    "the quick brown fox jumps over the lazy dog\00")
  (data (i32.const 0x1ff8)
    "\01\00\00\00\00\04\00\00"
    "\02\00\00\00\14\04\00\00"
    "\03\00\00\00\29\04\00\00")
  (data (i32.const 0x2000)
    "\02\00\00\00\3f\04\00\00")
  (data (i32.const 0x10000)
    "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 0xc00000)
    "heap\10\00\00\00\00\00\c0\00\00\00\00\00")
  (data (i32.add (i32.const 0xc00000) (i32.const 0x10))
    "free\f0\ff\03\00\00\00\00\00\00\00\00\00")
  (data (i32.add (global.get $base) (i32.const 64))
    "placed by the host\00")

  ;; Not part of any initial memory: `memory.init` copies it on demand.
  (data $later "passive: copied when asked for")

  (func (export "greet") (param $to i32)
    (memory.init $later (local.get $to) (i32.const 0) (i32.const 30))))
