;; As wasm-ld links a threaded program: all segments are passive, and the first thread to
;; claim the flag at 0x30c copies them. Its thread-local storage is at 0x300.
(module
  (import "env" "memory" (memory 2 16 shared))
  (global $tls_base (mut i32) (i32.const 0))
  (data $rodata "read-only data of all threads")
  (data $tdata "thread\00\00")
  (data $data "\01\00\00\00\00\00\00\00\02\00\00\00")
  (func $init_memory
    block
      block
        block
          i32.const 0x30c
          i32.const 0
          i32.const 1
          i32.atomic.rmw.cmpxchg
          br_table 0 1 2
        end
        i32.const 0x200
        i32.const 0
        i32.const 29
        memory.init $rodata
        i32.const 0x300
        i32.const 0x300
        global.set $tls_base
        i32.const 0
        i32.const 8
        memory.init $tdata
        i32.const 0x10000
        i32.const 0
        i32.const 12
        memory.init $data
        i32.const 0x10010
        i32.const 0
        i32.const 0x1000
        memory.fill
        i32.const 0x30c
        i32.const 2
        i32.atomic.store
        i32.const 0x30c
        i32.const -1
        memory.atomic.notify
        drop
        br 1
      end
      i32.const 0x30c
      i32.const 1
      i64.const -1
      memory.atomic.wait32
      drop
    end
    data.drop $rodata
    data.drop $data)
  (func (export "__wasm_init_tls") (param $base i32)
    local.get $base
    global.set $tls_base
    local.get $base
    i32.const 0
    i32.const 8
    memory.init $tdata)
  (start $init_memory))
