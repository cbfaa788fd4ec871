;; The same with 64-bit addresses, a defined memory and no thread-local storage.
(module
  (memory (export "memory") i64 1 4 shared)
  (data $data "sixty-four bits")
  (func $init_memory
    block
      block
        block
          i64.const 0x40
          i32.const 0
          i32.const 1
          i32.atomic.rmw.cmpxchg
          br_table 0 1 2
        end
        i64.const 0x8000
        i32.const 0
        i32.const 15
        memory.init $data
        i64.const 0x40
        i32.const 2
        i32.atomic.store
        i64.const 0x40
        i32.const -1
        memory.atomic.notify
        drop
        br 1
      end
      i64.const 0x40
      i32.const 1
      i64.const -1
      memory.atomic.wait32
      drop
    end
    data.drop $data)
  (start $init_memory))
