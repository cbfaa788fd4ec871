;; A global of the module that is initialised from an imported one: its value is known
;; only to a caller that knows `$base`.
(module
  (import "host" "base" (global $base i32))
  (global $table i32 (i32.add (global.get $base) (i32.const 0x100)))
  (memory (export "memory") 1)
  (data (global.get $table) "base + 256"))
