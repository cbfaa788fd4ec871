//! The objects of a caller, and the values that it passes.

use core::ptr;

use arbitrary::{Result, Unstructured};
use wasm_meminit_c::opaque::{Bytes, Slot};
use wasm_meminit_c::types::{PoolConfig, SlotConfig, Status};

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Host,
    Module,
    Image,
    Slot,
    PooledSlot,
    Pool,
}

/// An object that the library returned and that has not been freed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// Objects of all kinds have the same type, under different names.
    pub(super) ptr: *mut Slot,
}

pub(super) struct World {
    pub(super) objects: Vec<Object>,
    /// Modules and artifacts, in buffers of their exact sizes.
    pub(super) inputs: Vec<Vec<u8>>,
    /// Memories that the host owns.
    pub(super) memories: [Vec<u8>; 2],
    n_calls: u64,
    pub(super) has_started: bool,
}

/// More objects than this are not created.
const MAX_OBJECTS: usize = 12;

const MODULES: [&str; 4] = [
    r#"(module (import "env" "base" (global $base i32)) (memory 1 4)
        (data (i32.const 1024) "baked") (data (global.get $base) "replayed"))"#,
    r#"(module (import "env" "memory" (memory 1))
        (import "env" "base" (global $base i64)) (memory i64 2)
        (data (i32.const 8) "imported")
        (data (memory 1) (offset global.get $base) "any"))"#,
    r#"(module (memory 2) (data (i32.const 0) "a") (data (i32.const 131071) "bc"))"#,
    "(module)",
];

impl World {
    pub(super) fn new() -> Self {
        thread_local! {
            static INPUTS: Vec<Vec<u8>> = inputs();
        }
        Self {
            objects: Vec::new(),
            inputs: INPUTS.with(Clone::clone),
            memories: [vec![0; 1 << 16], vec![0; 2 << 16]],
            n_calls: 0,
            has_started: false,
        }
    }

    /// Creates what most functions need: few sequences of any calls come this far.
    pub(super) fn furnish(&mut self) {
        self.created(Kind::Host, |it| c!(wasm_meminit_host_new(it)));
        let host = self.objects[0].ptr.cast();
        for (kind, bits) in [(0, 1024), (1, 8)] {
            let names = (c"env".as_ptr(), c"base".as_ptr());
            let _ = c!(wasm_meminit_host_add_global(
                host, names.0, names.1, kind, bits
            ));
        }
        for nth in [3, 7] {
            let (data, len) = (self.inputs[nth].as_ptr(), self.inputs[nth].len());
            self.created(Kind::Module, |it| {
                c!(wasm_meminit_module_load(data, len, ptr::null(), it))
            });
        }
        let data = self.inputs[2].as_ptr();
        self.created(Kind::Image, |it| {
            c!(wasm_meminit_image_capture(data, 8, it))
        });
        let slots = SlotConfig {
            struct_size: size_of::<SlotConfig>(),
            max_bytes: 4 << 16,
            guard_bytes: 0,
            guard_before_bytes: 0,
            keep_resident_bytes: 1 << 16,
            strategy: 0,
            max_pieces: 8,
        };
        let pool = PoolConfig {
            struct_size: size_of::<PoolConfig>(),
            max_slots: 3,
            max_resident_bytes: u64::MAX,
            n_shards: 2,
            batch: 2,
        };
        self.created(Kind::Slot, |it| c!(wasm_meminit_slot_new(&slots, it)));
        self.created(Kind::Pool, |it| {
            c!(wasm_meminit_pool_new(&pool, &slots, it))
        });
    }

    /// Takes the object that a call has created, if it has.
    #[track_caller]
    pub(super) fn created<T>(&mut self, kind: Kind, call: impl FnOnce(*mut *mut T) -> Status) {
        let mut object: *mut T = ptr::dangling_mut();
        self.n_calls += 1;
        let out = if MAX_OBJECTS <= self.objects.len() {
            ptr::null_mut()
        } else if self.n_calls.is_multiple_of(16) {
            (&raw mut object).wrapping_byte_add(1)
        } else {
            &raw mut object
        };
        let status = call(out);
        if out != &raw mut object {
            assert_ne!(status, Status::Ok);
            assert_eq!(object, ptr::dangling_mut());
            return;
        }
        assert_eq!(
            object.is_null(),
            status != Status::Ok,
            "{kind:?}: {status:?}"
        );
        if !object.is_null() {
            self.has_started |= kind == Kind::PooledSlot;
            let ptr = object.cast();
            self.objects.push(Object { kind, ptr });
        }
    }

    /// Returns an object of that kind, if there is one, sometimes of another kind, and sometimes
    /// null.
    pub(super) fn object<T>(&self, kind: Kind, u: &mut Unstructured<'_>) -> Result<*mut T> {
        let choice = u.int_in_range(0..=15)?;
        let is_wanted = |it: &&Object| choice == 1 || it.kind == kind || is_slot(it.kind, kind);
        let wanted: Vec<&Object> = self.objects.iter().filter(is_wanted).collect();
        if choice == 0 || wanted.is_empty() {
            return Ok(ptr::null_mut());
        }
        let object: *mut T = u.choose(&wanted)?.ptr.cast();
        Ok(match choice {
            2 => object.wrapping_byte_add(1),
            _ => object,
        })
    }

    /// Whether no slot is held, so that waiting forever for one ends.
    pub(super) fn holds_no_slot(&self) -> bool {
        self.objects.iter().all(|it| it.kind != Kind::PooledSlot)
    }

    /// Removes an object from the list. The caller frees it.
    pub(super) fn take(&mut self, u: &mut Unstructured<'_>) -> Result<Option<Object>> {
        if self.objects.is_empty() {
            return Ok(None);
        }
        let nth = u.choose_index(self.objects.len())?;
        Ok(Some(self.objects.swap_remove(nth)))
    }

    /// Reads and writes the ends of all memories, as a program does.
    pub(super) fn touch_memories(&mut self) {
        for object in &self.objects {
            if !is_slot(object.kind, Kind::Slot) {
                continue;
            }
            let data = c!(wasm_meminit_slot_data(object.ptr));
            let len = c!(wasm_meminit_slot_len(object.ptr));
            let len = usize::try_from(len).expect("of this machine");
            if len == 0 {
                continue;
            }
            assert!(!data.is_null());
            // SAFETY: the slot's memory has `len` bytes, and only this thread uses it.
            let bytes = unsafe { core::slice::from_raw_parts_mut(data, len) };
            for at in [0, len - 1] {
                bytes[at] = bytes[at].wrapping_add(1);
            }
        }
    }

    pub(super) fn free(object: Object) {
        let ptr = object.ptr;
        match object.kind {
            Kind::Bytes => c!(wasm_meminit_bytes_free(ptr.cast())),
            Kind::Host => c!(wasm_meminit_host_free(ptr.cast())),
            Kind::Module => c!(wasm_meminit_module_free(ptr.cast())),
            Kind::Image => c!(wasm_meminit_image_free(ptr.cast())),
            Kind::Slot | Kind::PooledSlot => c!(wasm_meminit_slot_free(ptr)),
            Kind::Pool => c!(wasm_meminit_pool_free(ptr.cast())),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.objects.drain(..).for_each(Self::free);
    }
}

fn is_slot(kind: Kind, wanted: Kind) -> bool {
    wanted == Kind::Slot && matches!(kind, Kind::Slot | Kind::PooledSlot)
}

/// Returns modules, their artifacts, and bytes that are neither.
fn inputs() -> Vec<Vec<u8>> {
    let mut inputs = vec![Vec::new(), vec![0x7f; 3]];
    for text in MODULES {
        let wasm = wat::parse_str(text).expect("valid");
        let mut artifact: *mut Bytes = ptr::null_mut();
        let status = c!(wasm_meminit_build(wasm.as_ptr(), wasm.len(), &mut artifact));
        assert_eq!(status, Status::Ok);
        let data = c!(wasm_meminit_bytes_data(artifact));
        let len = c!(wasm_meminit_bytes_len(artifact));
        // SAFETY: the object has that many bytes, and lives.
        let copy = unsafe { core::slice::from_raw_parts(data, len) }.to_vec();
        c!(wasm_meminit_bytes_free(artifact));
        inputs.extend([wasm, copy]);
    }
    inputs
}

/// Returns a number at a limit, a small one, or any.
pub(super) fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=3)? {
        0 => *u.choose(&[0, 1, 2, 3, 4, 5])?,
        1 => *u.choose(&[1024, 4095, 65_536, 131_072, 65_528, 2 << 16])?,
        2 => *u.choose(&[
            u64::MAX,
            u64::MAX - 4095,
            1 << 63,
            1 << 62,
            1 << 32,
            1 << 47,
        ])?,
        _ => u.arbitrary()?,
    })
}

/// Returns a number that may stand for anything: an enumeration, an index, a count.
pub(super) fn number32(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=3)? {
        0..3 => u.int_in_range(0..=5)?,
        _ => *u.choose(&[u32::MAX, 1 << 31, 1000, 1 << 16])?,
    })
}

/// Returns the size that a structure claims to have: right, too small, or of a later version.
pub(super) fn struct_size(u: &mut Unstructured<'_>, right: usize) -> Result<usize> {
    let sizes = [
        right,
        right,
        right,
        right,
        0,
        1,
        8,
        right - 1,
        right - 8,
        right + 8,
        right + 64,
    ];
    Ok(*u.choose(&sizes)?)
}
