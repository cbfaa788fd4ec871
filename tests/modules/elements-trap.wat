;; The element segment runs before the data and may trap: the host's table can be
;; too short for it.
(module
  (import "host" "base" (global $base i32))
  (import "host" "table" (table $table 1 funcref))
  (memory (export "memory") 1)
  (elem (table $table) (global.get $base) func $peek)
  (data (i32.const 0x20) "seen through the table, or not at all")
  (func $peek (result i32) (i32.load8_u (i32.const 0x20))))
