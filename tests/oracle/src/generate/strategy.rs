//! The parts of a generated module, as data that proptest can shrink.
//!
//! Addresses are near host page boundaries and near the ends of memories, there are few
//! byte values, and much depends on imports. This makes overlaps, zero runs, barriers and
//! traps common; uniform numbers would produce none of them.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::host::Host;

/// A module and its host.
#[derive(Clone, Debug)]
pub struct Spec {
    /// In the module, imported ones come first, whatever their order here.
    pub memories: Vec<MemorySpec>,
    pub globals: Vec<GlobalSpec>,
    pub elements: Vec<ElementSpec>,
    pub data: Vec<DataSpec>,
    pub host: Host,
    /// Whether there is a data count section.
    pub data_count: bool,
}

#[derive(Clone, Debug)]
pub struct MemorySpec {
    pub imported: bool,
    pub is_64: bool,
    pub shared: bool,
    /// Wasm pages of 1 byte.
    pub page_of_1: bool,
    /// In wasm pages.
    pub min: u64,
    /// Wasm pages above the minimum.
    pub room: Option<u64>,
}

/// An immutable integer global. Its value comes from the host or from an initialiser.
#[derive(Clone, Debug)]
pub struct GlobalSpec {
    pub is_64: bool,
    pub init: GlobalInit,
}

#[derive(Clone, Debug)]
pub enum GlobalInit {
    Imported,
    Const(i64),
    /// The value of an earlier global of the same type plus a constant, or just the constant
    /// if there is no such global.
    Sum(usize, i64),
}

/// An active element segment of the imported or of the defined table.
#[derive(Clone, Debug)]
pub struct ElementSpec {
    pub imported_table: bool,
    pub offset: ElementOffset,
    pub n_functions: u8,
}

#[derive(Clone, Debug)]
pub enum ElementOffset {
    Const(u8),
    /// An earlier i32 global, if there is one.
    Global(usize),
}

#[derive(Clone, Debug)]
pub struct DataSpec {
    /// `None` for a passive segment.
    pub target: Option<Target>,
    pub bytes: Bytes,
}

#[derive(Clone, Debug)]
pub struct Target {
    /// Modulo the number of memories.
    pub memory: usize,
    pub addr: Addr,
    pub form: Form,
}

/// An address near an anchor.
#[derive(Clone, Copy, Debug)]
pub struct Addr {
    pub anchor: Anchor,
    pub delta: i64,
    /// Whether the segment's end, instead of its start, is at the anchor.
    pub end: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Zero,
    /// The n-th 4 KiB boundary, modulo the number of boundaries in the memory.
    Page(u64),
    /// The declared minimum.
    Min,
    /// The size that the host provides.
    Actual,
    /// 2^32.
    Space32,
    /// 2^64.
    Space64,
}

/// How an address is expressed.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Const,
    /// `const add const`, wrapping.
    Sum(i64),
    /// `const sub const`.
    Difference(i64),
    /// `const mul 1 add const mul 0`: three operands deep.
    Product(i64),
    /// `global.get add const`: in bounds, but only the host knows that.
    Global(usize),
    /// `global.get`, at any address.
    BareGlobal(usize),
}

#[derive(Clone, Debug)]
pub enum Bytes {
    Few(Vec<u8>),
    /// The same byte, this many times.
    Many(u8, usize),
    /// Zeros around one byte.
    Island(usize),
}

impl Bytes {
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Few(bytes) => bytes.clone(),
            Self::Many(byte, n) => vec![*byte; *n],
            Self::Island(n) => {
                let mut bytes = vec![0; 2 * n + 1];
                bytes[*n] = 1;
                bytes
            }
        }
    }
}

/// Modules whose memories an engine can allocate.
pub fn ordinary() -> impl Strategy<Value = Spec> {
    let pages = prop_oneof![1 => Just(0_u64), 9 => 1_u64..=3];
    let kib_64 = (pages, prop::option::of(0_u64..=3)).prop_map(|(min, room)| (false, min, room));
    let one =
        (0_u64..=9000, prop::option::of(0_u64..=9000)).prop_map(|(min, room)| (true, min, room));
    spec(prop_oneof![5 => kib_64.boxed(), 1 => one.boxed()].boxed())
}

/// Modules with memories that no engine allocates: up to the whole address space.
pub fn giants() -> impl Strategy<Value = Spec> {
    let pages = prop_oneof![
        Just(1_u64 << 16),
        Just((1 << 16) - 1),
        Just(1 << 20),
        Just((1 << 48) - 1),
        0_u64..=3,
    ];
    let kib_64 = pages.prop_map(|min| (false, min, None));
    let bytes = prop_oneof![
        Just((1_u64 << 32) - 1),
        Just(u64::MAX),
        Just(u64::MAX - 4095)
    ];
    let one = bytes.prop_map(|min| (true, min, None));
    spec(prop_oneof![2 => kib_64.boxed(), 1 => one.boxed()].boxed())
}

/// With these sizes: whether wasm pages have 1 byte, the minimum, and pages above it.
fn spec(sizes: BoxedStrategy<(bool, u64, Option<u64>)>) -> impl Strategy<Value = Spec> {
    (
        vec(memory(sizes), 1..=3),
        vec(global(), 0..=4),
        prop_oneof![3 => Just(Vec::new()).boxed(), 1 => vec(element(), 1..=2).boxed()],
        vec(data(), 0..=7),
        host(),
        any::<bool>(),
    )
        .prop_map(
            |(memories, globals, elements, data, host, data_count)| Spec {
                memories,
                globals,
                elements,
                data,
                host,
                data_count,
            },
        )
}

fn memory(sizes: BoxedStrategy<(bool, u64, Option<u64>)>) -> impl Strategy<Value = MemorySpec> {
    let often = |weight| prop::bool::weighted(weight);
    (sizes, often(0.35), often(0.25), often(0.15)).prop_map(
        |((page_of_1, min, room), imported, is_64, shared)| {
            let space32 = if page_of_1 { u32::MAX.into() } else { 1 << 16 };
            MemorySpec {
                imported,
                is_64: is_64 || space32 < min,
                shared,
                page_of_1,
                min,
                room,
            }
        },
    )
}

fn global() -> impl Strategy<Value = GlobalSpec> {
    let init = prop_oneof![
        Just(GlobalInit::Imported),
        number().prop_map(GlobalInit::Const),
        (0_usize..4, number()).prop_map(|(global, plus)| GlobalInit::Sum(global, plus)),
    ];
    (prop::bool::weighted(0.3), init).prop_map(|(is_64, init)| GlobalSpec { is_64, init })
}

fn element() -> impl Strategy<Value = ElementSpec> {
    let offset = prop_oneof![
        4 => (0_u8..=2).prop_map(ElementOffset::Const),
        1 => (0_usize..4).prop_map(ElementOffset::Global),
    ];
    (any::<bool>(), offset, 0_u8..=2).prop_map(|(imported_table, offset, n_functions)| {
        ElementSpec {
            imported_table,
            offset,
            n_functions,
        }
    })
}

fn data() -> impl Strategy<Value = DataSpec> {
    let target =
        (0_usize..3, addr(), form()).prop_map(|(memory, addr, form)| Target { memory, addr, form });
    (prop::option::weighted(0.9, target), bytes())
        .prop_map(|(target, bytes)| DataSpec { target, bytes })
}

fn addr() -> impl Strategy<Value = Addr> {
    let anchor = prop_oneof![
        4 => Just(Anchor::Zero),
        12 => (0_u64..=20).prop_map(Anchor::Page),
        3 => Just(Anchor::Min),
        1 => Just(Anchor::Actual),
        1 => prop_oneof![Just(Anchor::Space32), Just(Anchor::Space64)],
    ];
    let delta = prop_oneof![6 => Just(0_i64), 4 => -8_i64..=8];
    (anchor, delta, prop::bool::weighted(0.4)).prop_map(|(anchor, delta, end)| Addr {
        anchor,
        delta,
        // A segment that ends at the end of a memory fits, one that begins there does not.
        end: end || !matches!(anchor, Anchor::Zero | Anchor::Page(_)),
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        10 => Just(Form::Const),
        1 => number().prop_map(Form::Sum),
        1 => number().prop_map(Form::Difference),
        1 => number().prop_map(Form::Product),
        3 => (0_usize..4).prop_map(Form::Global),
        1 => (0_usize..4).prop_map(Form::BareGlobal),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => vec(0_u8..3, 0..=8).prop_map(Bytes::Few),
        1 => Just(Bytes::Few(Vec::new())),
        1 => Just(Bytes::Many(0, 4096)),
        1 => (0_u8..3, 0_usize..=20_000).prop_map(|(byte, n)| Bytes::Many(byte, n)),
        1 => (0_usize..=9000).prop_map(Bytes::Island),
    ]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0_i64..=64,
        2 => prop::sample::select(vec![4096_i64, 4095, 65_536, 131_072, -1, i64::MIN, i64::MAX]),
        1 => any::<i64>(),
    ]
}

fn host() -> impl Strategy<Value = Host> {
    (
        vec(number(), 1..=3),
        0_u64..=2,
        prop::sample::select(vec![0_u8, 0xa5]),
    )
        .prop_map(|(globals, extra_wasm_pages, fill)| Host {
            globals,
            extra_wasm_pages,
            fill,
        })
}
