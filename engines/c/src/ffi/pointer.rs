//! Reads and writes through the pointers of the caller: all `unsafe` operations of the package.
//!
//! Numbered rules are those of [`ffi`](crate::ffi).

use core::ffi::c_char;
use core::mem::offset_of;
use core::{ptr, slice};

use wasm_meminit::PreparedModule;
use wasm_meminit::apply::InstantiateError;

use crate::error::{Error, call};
use crate::instance::{EachMemory, HostMemory};
use crate::object::Opaque;
use crate::opaque::Memory;
use crate::types::{
    ErrorInfo, MemoryInfo, ModuleInfo, PoolConfig, PoolStats, ResetReport, SlotConfig, Status,
};

/// Runs the body of a function that returns a status.
pub(super) fn run(body: impl FnOnce() -> Result<(), Error>) -> Status {
    call(body).err().unwrap_or(Status::Ok)
}

pub(super) fn check<T>(ptr: *const T, name: &str) -> Result<(), Error> {
    if ptr.is_null() {
        return Err(Error::new(
            Status::NullPointer,
            format_args!("`{name}` is null"),
        ));
    }
    match ptr.is_aligned() {
        true => Ok(()),
        false => Err(Error::invalid(format_args!("`{name}` is not aligned"))),
    }
}

/// The contents of an object.
macro_rules! object {
    ($ptr:expr) => {{
        check($ptr, stringify!($ptr))?;
        // SAFETY: rule 1; objects of all kinds have the same type.
        unsafe { &*$ptr }.value()?
    }};
}

/// The contents of an object, or `None` for null.
macro_rules! optional {
    ($ptr:ident) => {
        match $ptr.is_null() {
            true => None,
            false => Some(object!($ptr)),
        }
    };
}

/// Stores a new object in `*$out`; null if that fails.
macro_rules! create {
    ($out:ident, $value:expr) => {
        run(|| {
            check($out, stringify!($out))?;
            // SAFETY: rule 4.
            unsafe { $out.write(core::ptr::null_mut()) };
            let object = Box::new(Opaque::new($value));
            // SAFETY: rule 4.
            unsafe { $out.write(Box::into_raw(object)) };
            Ok(())
        })
    };
}

/// Frees an object; nothing for null.
macro_rules! free {
    ($ptr:ident) => {{
        let _ = call(|| {
            if let Some(value) = optional!($ptr) {
                value.expect_idle()?;
                // SAFETY: rule 1; `create` made it from a box of this type, which it still is.
                drop(unsafe { Box::from_raw($ptr) });
            }
            Ok(())
        });
    }};
}

/// Bytes with a length, which may be null if there are none.
macro_rules! bytes {
    ($ptr:ident, $len:ident) => {{
        expect_len($ptr, $len, stringify!($ptr))?;
        match $len {
            0 => &[][..],
            // SAFETY: rule 2; the length was checked.
            len => unsafe { core::slice::from_raw_parts($ptr, len) },
        }
    }};
}

pub(super) fn expect_len<T>(ptr: *const T, len: usize, name: &str) -> Result<(), Error> {
    if len == 0 {
        return Ok(());
    }
    check(ptr, name)?;
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Error::invalid(format_args!(
            "`{name}` cannot have {len} elements"
        ))),
    }
}

macro_rules! text {
    ($ptr:ident) => {{
        check($ptr, stringify!($ptr))?;
        // SAFETY: rule 2.
        let text = unsafe { core::ffi::CStr::from_ptr($ptr) };
        text.to_str().map_err(|_| {
            $crate::error::Error::invalid(concat!("`", stringify!($ptr), "` is not UTF-8"))
        })?
    }};
}

/// A structure that begins with its size.
///
/// # Safety
///
/// The type is `#[repr(C)]`, begins with `struct_size: usize`, and any bytes are a value of it.
pub(super) unsafe trait Versioned: Copy {
    /// The size in the first version, in bytes, without padding at the end.
    const FIRST: usize;
}

/// Each structure, with the last member that the first version has.
macro_rules! structures {
    ($($name:ident { $last:ident: $ty:ty })*) => {$(
        // SAFETY: integers and raw pointers only, the first of them `struct_size`.
        unsafe impl Versioned for $name {
            const FIRST: usize = offset_of!($name, $last) + size_of::<$ty>();
        }
    )*};
}

structures! {
    ErrorInfo { message: *const c_char }
    SlotConfig { max_pieces: u32 }
    PoolConfig { batch: u32 }
    ModuleInfo { has_baked_start: u32 }
    MemoryInfo { has_image: u32 }
    Memory { bytes: u64 }
    ResetReport { reserved: u32 }
    PoolStats { image_bytes: u64 }
}

/// No structure will ever be larger, in bytes: what claims to be is not one.
const MAX_STRUCT: usize = 4096;

/// Returns the size that a structure states, checked.
pub(super) fn stated<T: Versioned>(ptr: *const T, name: &str) -> Result<usize, Error> {
    check(ptr, name)?;
    // SAFETY: rule 3.
    let size = unsafe { ptr.cast::<usize>().read() };
    match (T::FIRST..=MAX_STRUCT).contains(&size) {
        true => Ok(size),
        false => Err(Error::invalid(format_args!(
            "`{name}` has a struct_size of {size}, expected {}",
            size_of::<T>()
        ))),
    }
}

/// Reads a structure of any version: members that it lacks are those of `value`, and members
/// that this version does not know must be 0.
pub(super) fn read<T: Versioned>(ptr: *const T, mut value: T, name: &str) -> Result<T, Error> {
    let size = stated(ptr, name)?;
    // SAFETY: rule 3.
    let theirs = unsafe { slice::from_raw_parts(ptr.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if theirs[known..].iter().any(|byte| *byte != 0) {
        return Err(Error::new(
            Status::Unsupported,
            format_args!("`{name}` sets a member that this version of the library does not have"),
        ));
    }
    let to = (&raw mut value).cast::<u8>();
    // SAFETY: at most the size of either, and `value` is on our stack.
    unsafe { ptr::copy_nonoverlapping(theirs.as_ptr(), to, known) };
    Ok(value)
}

/// Writes a structure of any version: as many members as it has. Those that this version does
/// not know become 0.
pub(super) fn write<T: Versioned>(ptr: *mut T, value: T, name: &str) -> Result<(), Error> {
    let size = stated(ptr, name)?;
    write_sized(ptr, size, value);
    Ok(())
}

fn write_sized<T: Versioned>(ptr: *mut T, size: usize, value: T) {
    let known = size.min(size_of::<T>());
    // SAFETY: rule 3: `size` bytes.
    unsafe { ptr.cast::<u8>().write_bytes(0, size) };
    let from = (&raw const value).cast::<u8>();
    // SAFETY: at most the size of either, and `value` is on our stack.
    unsafe { ptr::copy_nonoverlapping(from, ptr.cast::<u8>(), known) };
    // SAFETY: rule 3.
    unsafe { ptr.cast::<usize>().write(size) };
}

/// Writes a result of a fixed size.
pub(super) fn put<T>(ptr: *mut T, value: T, name: &str) -> Result<(), Error> {
    check(ptr, name)?;
    // SAFETY: rule 4.
    unsafe { ptr.write(value) };
    Ok(())
}

/// Writes the defaults of a structure whose size the caller passes.
pub(super) fn init<T: Versioned>(
    ptr: *mut T,
    size: usize,
    value: T,
    name: &str,
) -> Result<(), Error> {
    check(ptr, name)?;
    if !(T::FIRST..=MAX_STRUCT).contains(&size) {
        return Err(Error::invalid(format_args!(
            "{size} is not the size of `{name}`"
        )));
    }
    write_sized(ptr, size, value);
    Ok(())
}

/// Reads the memories of an instance.
pub(super) fn memories<'a>(
    module: &PreparedModule,
    first: *const Memory,
    n: usize,
) -> Result<EachMemory<HostMemory<'a>>, Error> {
    let expected = module.memories().len();
    if n != expected {
        return Err(InstantiateError::MemoryCount { expected, given: n }.into());
    }
    let (mut all, mut taken) = (EachMemory::new(), EachMemory::new());
    for nth in 0..n {
        let size = stated(first, "memories")?;
        let at = first.wrapping_byte_add(nth * size);
        let empty = Memory {
            struct_size: 0,
            slot: ptr::null_mut(),
            data: ptr::null_mut(),
            bytes: 0,
        };
        let memory = read(at, empty, "memories")?;
        if memory.struct_size != size {
            return Err(Error::invalid(format_args!(
                "`memories` has elements of {size} and of {} bytes",
                memory.struct_size
            )));
        }
        if !memory.slot.is_null() {
            let slot = memory.slot;
            let slot = object!(slot);
            take(&mut taken, slot.base().addr(), slot.len(), true)?;
            all.push(HostMemory::Slot(slot, memory.bytes));
            continue;
        }
        let (data, len) = (
            memory.data,
            usize::try_from(memory.bytes).unwrap_or(usize::MAX),
        );
        expect_len(data, len, "memory without a slot: data")?;
        take(&mut taken, data.addr(), memory.bytes, false)?;
        all.push(HostMemory::Bytes(match len {
            0 => &mut [],
            // SAFETY: rule 2, and the caller leaves the bytes to this call; they do not overlap
            // with those before.
            len => unsafe { slice::from_raw_parts_mut(data, len) },
        }));
    }
    Ok(all)
}

/// The addresses of a memory, and whether it is in a slot.
type Taken = (u64, u64, bool);

/// Records the addresses of one more memory, which overlap with no other. Two slots overlap only
/// if they are the same one, which is found when it is locked.
fn take(taken: &mut EachMemory<Taken>, from: usize, len: u64, is_slot: bool) -> Result<(), Error> {
    let from = u64::try_from(from).unwrap_or(u64::MAX);
    let to = from.saturating_add(len);
    let mut others = taken.iter().filter(|(.., other)| !(is_slot && *other));
    if others.any(|(start, end, _)| from < *end && *start < to) {
        return Err(Error::invalid("two memories overlap"));
    }
    taken.push((from, to, is_slot));
    Ok(())
}

/// Reads a structure; null stands for the defaults.
pub(super) fn read_or<T: Versioned>(ptr: *const T, default: T, name: &str) -> Result<T, Error> {
    if ptr.is_null() {
        Ok(default)
    } else {
        read(ptr, default, name)
    }
}
