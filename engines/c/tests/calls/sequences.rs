//! Random sequences of calls with random objects: of the wrong kind, null, freed in any order.
//! A model predicts the status of each call and the contents of each memory.

use core::ptr;

use proptest::prelude::*;
use wasm_meminit_c::opaque::{Host, Image, Module, Pool, Slot};
use wasm_meminit_c::types::{ModuleInfo, Status};

use crate::support::{HYBRID, contents, created, instantiate, message, module, slot, slot_config};

const PAGE: u64 = 1 << 16;

/// The largest memory of each slot.
const MAX: u64 = 4 * PAGE;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Host,
    Module,
    Image,
    Slot,
    PooledSlot,
    Pool,
}

const KINDS: [Kind; 6] = [
    Kind::Host,
    Kind::Module,
    Kind::Image,
    Kind::Slot,
    Kind::PooledSlot,
    Kind::Pool,
];

/// A call. A number selects one of the existing objects, or null.
#[derive(Clone, Copy, Debug)]
enum Op {
    New(Kind),
    Free(usize),
    Start(usize, usize, u64),
    Instantiate(usize, usize, u64),
    Grow(usize, u64),
    Zero(usize),
    Reset(usize),
    Acquire(usize, usize, u64),
    Evict(usize, usize),
    Describe(usize),
    AddGlobal(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let object = 0..12_usize;
    let bytes = || {
        prop_oneof![
            Just(0),
            Just(1),
            Just(PAGE),
            Just(3 * PAGE),
            Just(u64::MAX),
            0..=MAX
        ]
    };
    let at = prop_oneof![
        Just(0),
        Just(2000),
        Just(PAGE - 8),
        Just(PAGE - 7),
        Just(u64::MAX)
    ];
    prop_oneof![
        4 => prop::sample::select(&KINDS[..]).prop_map(Op::New),
        1 => object.clone().prop_map(Op::Free),
        2 => (object.clone(), object.clone(), bytes()).prop_map(|(a, b, c)| Op::Start(a, b, c)),
        3 => (object.clone(), object.clone(), at).prop_map(|(a, b, c)| Op::Instantiate(a, b, c)),
        2 => (object.clone(), bytes()).prop_map(|(a, b)| Op::Grow(a, b)),
        1 => object.clone().prop_map(Op::Zero),
        2 => object.clone().prop_map(Op::Reset),
        2 => (object.clone(), object.clone(), bytes()).prop_map(|(a, b, c)| Op::Acquire(a, b, c)),
        1 => (object.clone(), object.clone()).prop_map(|(a, b)| Op::Evict(a, b)),
        1 => object.clone().prop_map(Op::Describe),
        1 => object.prop_map(Op::AddGlobal),
    ]
}

/// An object, as an untyped pointer, and what the model knows of it.
#[derive(Clone, Debug)]
struct Object {
    kind: Option<Kind>,
    ptr: *mut Slot,
    /// The contents of the memory in a slot in use.
    memory: Option<Vec<u8>>,
    /// The memory was started from the module's image.
    from_module: bool,
    /// A module was started in a slot of a pool.
    is_started: bool,
}

const NULL: Object = Object {
    kind: None,
    ptr: ptr::null_mut(),
    memory: None,
    from_module: false,
    is_started: false,
};

struct World {
    objects: Vec<Object>,
    /// Makes images, so that all of them are of this module.
    module: *mut Module,
    pool: *mut Pool,
}

/// The image of the module.
fn baked(bytes: u64) -> Vec<u8> {
    let mut memory = vec![0; usize::try_from(bytes).expect("small")];
    memory[1024..1029].copy_from_slice(b"baked");
    memory
}

impl World {
    fn object(&self, nth: usize) -> &Object {
        const { &NULL };
        self.objects.get(nth).unwrap_or(&NULL)
    }

    fn add(&mut self, kind: Kind, ptr: *mut Slot, memory: Option<Vec<u8>>, from_module: bool) {
        self.objects.push(Object {
            kind: Some(kind),
            ptr,
            memory,
            from_module,
            is_started: false,
        });
    }

    /// Returns why an argument is refused, if it is.
    fn refused(&self, nth: usize, allowed: &[Kind]) -> Option<Status> {
        match self.object(nth).kind {
            None => Some(Status::NullPointer),
            Some(kind) if !allowed.contains(&kind) => Some(Status::WrongKind),
            Some(_) => None,
        }
    }

    fn new_object(&mut self, kind: Kind) {
        let ptr = match kind {
            Kind::Host => created(|it: *mut *mut Host| c!(wasm_meminit_host_new(it))).cast(),
            Kind::Module => module(HYBRID).cast(),
            Kind::Image => self.image().cast(),
            Kind::Slot => slot(),
            Kind::PooledSlot => {
                let (pool, module) = (self.pool, self.module);
                let slot =
                    created(|it| c!(wasm_meminit_pool_acquire_memory(pool, module, 0, 0, -1, it)));
                return self.add(kind, slot, Some(baked(PAGE)), true);
            }
            Kind::Pool => new_pool().cast(),
        };
        self.add(kind, ptr, None, false);
    }

    fn image(&self) -> *mut Image {
        created(|it| c!(wasm_meminit_module_get_image(self.module, 0, it)))
    }

    fn free(&mut self, nth: usize) {
        let object = self.object(nth).clone();
        // Not as something else: that is refused.
        c!(wasm_meminit_bytes_free(object.ptr.cast()));
        match object.kind {
            None => return,
            Some(Kind::Host) => c!(wasm_meminit_host_free(object.ptr.cast())),
            Some(Kind::Module) => c!(wasm_meminit_module_free(object.ptr.cast())),
            Some(Kind::Image) => c!(wasm_meminit_image_free(object.ptr.cast())),
            Some(Kind::Slot | Kind::PooledSlot) => c!(wasm_meminit_slot_free(object.ptr)),
            Some(Kind::Pool) => c!(wasm_meminit_pool_free(object.ptr.cast())),
        }
        self.objects.swap_remove(nth);
    }

    /// The status of a start from an image in a slot of its own.
    fn started(&self, slot: usize, image: usize, bytes: u64) -> (Status, Option<Vec<u8>>) {
        let has_image = self.object(image).kind.is_some();
        let status = if let Some(refused) = self.refused(slot, &[Kind::Slot, Kind::PooledSlot]) {
            refused
        } else if has_image && let Some(refused) = self.refused(image, &[Kind::Image]) {
            refused
        } else if self.object(slot).memory.is_some() {
            Status::WrongState
        } else {
            return fitting(has_image, bytes);
        };
        (status, None)
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::New(kind) => self.new_object(kind),
            Op::Free(nth) => self.free(nth),
            Op::Start(nth, image, bytes) => {
                let (expected, memory) = self.started(nth, image, bytes);
                let (slot, from) = (self.object(nth).ptr, self.object(image).ptr);
                expect(
                    expected,
                    c!(wasm_meminit_slot_start(slot, from.cast(), bytes)),
                    op,
                );
                if memory.is_some() {
                    self.objects[nth].memory = memory;
                }
            }
            Op::Instantiate(module, slot, at) => self.instantiate(module, slot, at, op),
            Op::Grow(nth, bytes) => {
                let object = self.object(nth);
                let refused = self.refused(nth, &[Kind::Slot, Kind::PooledSlot]);
                let expected = refused.unwrap_or(match &object.memory {
                    None => Status::WrongState,
                    Some(_) if MAX < bytes => Status::DoesNotFit,
                    Some(memory) if bytes < memory.len() as u64 => Status::InvalidArgument,
                    Some(_) => Status::Ok,
                });
                expect(expected, c!(wasm_meminit_slot_grow(object.ptr, bytes)), op);
                if expected == Status::Ok
                    && let Some(memory) = &mut self.objects[nth].memory
                {
                    memory.resize(usize::try_from(bytes).expect("small"), 0);
                }
            }
            Op::Zero(nth) => {
                let object = self.object(nth);
                let refused = self.refused(nth, &[Kind::Slot, Kind::PooledSlot]);
                let expected = refused.unwrap_or(match object.memory {
                    None => Status::WrongState,
                    Some(_) => Status::Ok,
                });
                expect(expected, c!(wasm_meminit_slot_zero(object.ptr)), op);
                if expected == Status::Ok
                    && let Some(memory) = &mut self.objects[nth].memory
                {
                    memory.fill(0);
                    self.objects[nth].from_module = false;
                }
            }
            Op::Reset(nth) => {
                let object = self.object(nth);
                let refused = self.refused(nth, &[Kind::Slot, Kind::PooledSlot]);
                let expected = refused.unwrap_or(match (object.kind, &object.memory) {
                    (Some(Kind::Slot), Some(_)) => Status::Ok,
                    _ => Status::WrongState,
                });
                expect(
                    expected,
                    c!(wasm_meminit_slot_reset(object.ptr, ptr::null_mut())),
                    op,
                );
                if expected == Status::Ok {
                    self.objects[nth].memory = None;
                }
            }
            Op::Acquire(pool, image, bytes) => {
                let has_image = self.object(image).kind.is_some();
                let refused_image = self.refused(image, &[Kind::Image]).filter(|_| has_image);
                let refused = self.refused(pool, &[Kind::Pool]).or(refused_image);
                let (expected, memory) = match refused {
                    Some(refused) => (refused, None),
                    None => fitting(has_image, bytes),
                };
                let (from, image) = (self.object(pool).ptr, self.object(image).ptr);
                let mut slot = ptr::dangling_mut();
                let status = c!(wasm_meminit_pool_acquire(
                    from.cast(),
                    image.cast(),
                    bytes,
                    0,
                    &mut slot
                ));
                expect(expected, status, op);
                assert_eq!(slot.is_null(), memory.is_none(), "{op:?}");
                if memory.is_some() {
                    self.add(Kind::PooledSlot, slot, memory, false);
                }
            }
            Op::Evict(pool, image) => {
                let refused = self.refused(pool, &[Kind::Pool]);
                let refused = refused.or_else(|| self.refused(image, &[Kind::Image]));
                let (pool, image) = (self.object(pool).ptr, self.object(image).ptr);
                let status = c!(wasm_meminit_pool_evict(pool.cast(), image.cast()));
                expect(refused.unwrap_or(Status::Ok), status, op);
            }
            Op::Describe(nth) => {
                let mut info = ModuleInfo {
                    struct_size: size_of::<ModuleInfo>(),
                    n_memories: 0,
                    n_globals: 0,
                    n_replayed: 0,
                    elements_may_trap: 0,
                    has_baked_start: 0,
                };
                let module = self.object(nth).ptr;
                let status = c!(wasm_meminit_module_get_info(module.cast(), &mut info));
                let refused = self.refused(nth, &[Kind::Module]);
                expect(refused.unwrap_or(Status::Ok), status, op);
                assert_eq!(info.n_memories, u64::from(refused.is_none()));
            }
            Op::AddGlobal(nth) => {
                let (host, name) = (self.object(nth).ptr, c"name".as_ptr());
                let status = c!(wasm_meminit_host_add_global(host.cast(), name, name, 1, 5));
                let refused = self.refused(nth, &[Kind::Host]);
                expect(refused.unwrap_or(Status::Ok), status, op);
            }
        }
    }

    fn instantiate(&mut self, nth_module: usize, nth: usize, at: u64, op: Op) {
        let (module, slot) = (self.object(nth_module), self.object(nth));
        let is_this = module.ptr.cast() == self.module;
        // Without a slot, the memory has no bytes, and that is too small.
        let refused_slot = match self.refused(nth, &[Kind::Slot, Kind::PooledSlot]) {
            Some(Status::NullPointer) => Some(Status::DoesNotFit),
            refused => refused,
        };
        let refused = self.refused(nth_module, &[Kind::Module]).or(refused_slot);
        let address = usize::try_from(at & u64::from(u32::MAX)).expect("32 bits");
        let mut expected = refused.unwrap_or(match (slot.kind, &slot.memory) {
            (Some(Kind::Slot), None) => Status::Ok,
            (Some(Kind::Slot), Some(_)) => Status::WrongState,
            (_, Some(_)) if slot.is_started => Status::WrongState,
            // The image must be the module's own.
            (_, Some(_)) if is_this && slot.from_module => Status::Ok,
            _ => Status::InvalidArgument,
        });
        let mut memory = slot.memory.clone();
        if expected == Status::Ok {
            let memory = memory.get_or_insert_with(|| baked(PAGE));
            match memory.get_mut(address..).and_then(|it| it.get_mut(..8)) {
                Some(bytes) => bytes.copy_from_slice(b"replayed"),
                None => expected = Status::Trap,
            }
        }
        expect(expected, instantiate(module.ptr.cast(), slot.ptr, at), op);
        if let Some(object) = self.objects.get_mut(nth) {
            object.memory = memory;
            object.is_started |= matches!(expected, Status::Ok | Status::Trap);
        }
    }

    /// Compares all memories, and writes to them as a program does.
    fn check(&mut self) {
        for object in &mut self.objects {
            if !matches!(object.kind, Some(Kind::Slot | Kind::PooledSlot)) {
                continue;
            }
            let bytes = contents(object.ptr);
            let expected = object.memory.as_deref_mut().unwrap_or_default();
            assert!(bytes == expected, "the contents differ");
            if let (Some(byte), Some(same)) = (bytes.last_mut(), expected.last_mut()) {
                *byte = byte.wrapping_add(1);
                *same = *byte;
            }
        }
    }
}

/// The status and the contents of a start of `bytes` bytes.
fn fitting(has_image: bool, bytes: u64) -> (Status, Option<Vec<u8>>) {
    match (has_image, bytes) {
        (_, bytes) if MAX < bytes => (Status::DoesNotFit, None),
        (true, bytes) if bytes < 1029 => (Status::DoesNotFit, None),
        (true, bytes) => (Status::Ok, Some(baked(bytes))),
        (false, bytes) => (
            Status::Ok,
            Some(vec![0; usize::try_from(bytes).expect("small")]),
        ),
    }
}

fn new_pool() -> *mut Pool {
    let slots = slot_config();
    created(|it| c!(wasm_meminit_pool_new(ptr::null(), &slots, it)))
}

#[track_caller]
fn expect(expected: Status, found: Status, op: Op) {
    assert_eq!(found, expected, "{op:?}: {}", message());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_sequence_does_what_the_model_says(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World { objects: Vec::new(), module: module(HYBRID), pool: new_pool() };
        for op in ops {
            world.run(op);
            world.check();
        }
        // In the order in which they happen to be: modules before their images and slots.
        c!(wasm_meminit_module_free(world.module));
        c!(wasm_meminit_pool_free(world.pool));
        while !world.objects.is_empty() {
            world.free(0);
        }
    }
}
