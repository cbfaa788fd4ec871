;; Position-independent: the dynamic linker chooses the base; relocations run first.
(module
  (import "env" "memory" (memory 1 16 shared))
  (import "env" "__memory_base" (global $memory_base i32))
  (global $got (mut i32) (i32.const 0))
  (global $tls_base (mut i32) (i32.const 0))
  (data $tdata "\11\22\33\44")
  (data $data "wherever you like")
  (func $apply_global_relocs
    global.get $memory_base
    i32.const 16
    i32.add
    global.set $got)
  (func $init_memory
    (local $flag i32)
    (local $part i32)
    global.get $memory_base
    i32.const 40
    i32.add
    local.set $flag
    block
      block
        block
          local.get $flag
          i32.const 0
          i32.const 1
          i32.atomic.rmw.cmpxchg
          br_table 0 1 2
        end
        i32.const 0
        global.get $memory_base
        i32.add
        local.tee $part
        global.set $tls_base
        local.get $part
        i32.const 0
        i32.const 4
        memory.init $tdata
        i32.const 16
        global.get $memory_base
        i32.add
        i32.const 0
        i32.const 17
        memory.init $data
        local.get $flag
        i32.const 2
        i32.atomic.store
        local.get $flag
        i32.const -1
        memory.atomic.notify
        drop
        br 1
      end
      local.get $flag
      i32.const 1
      i64.const -1
      memory.atomic.wait32
      drop
    end
    data.drop $data)
  (func $start
    call $apply_global_relocs
    call $init_memory)
  (start $start))
