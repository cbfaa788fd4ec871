//! Hosts, and the modules that are loaded for them.

use alloc::sync::Arc;
use std::sync::RwLock;

use wasm_meminit::apply::{
    GlobalIndex, Host, IndexType, MemoryImage, MemoryIndex, PreparedMemory, PreparedModule,
    StartFunction, Value,
};
use wasm_meminit::image_builder::Image;

use crate::error::Error;
use crate::lock::{read, write};
use crate::types::{self, Global, MemoryInfo, ModuleInfo, Status, ValueType};

/// Replaces a host by one that declares more.
fn extend(host: &RwLock<Host>, add: impl FnOnce(Host) -> Host) -> Result<(), Error> {
    let mut host = write(host, "host")?;
    let extended = add(host.clone());
    *host = extended;
    Ok(())
}

pub(crate) fn add_global(
    host: &RwLock<Host>,
    (module, name): (&str, &str),
    value_type: u32,
    bits: u64,
) -> Result<(), Error> {
    let value = value(value_type, bits)?;
    extend(host, |host| host.with_global(module, name, value))
}

pub(crate) fn add_memory(
    host: &RwLock<Host>,
    (module, name): (&str, &str),
    bytes: u64,
    is_fresh: u32,
) -> Result<(), Error> {
    match is_fresh {
        0 => extend(host, |host| host.with_memory(module, name, bytes)),
        1 => extend(host, |host| host.with_fresh_memory(module, name, bytes)),
        other => Err(Error::invalid(format_args!(
            "is_fresh is {other}, expected 0 or 1"
        ))),
    }
}

pub(crate) fn set_start_function(host: &RwLock<Host>, treatment: u32) -> Result<(), Error> {
    let all = [
        (types::StartFunction::Unchanged, StartFunction::Unchanged),
        (
            types::StartFunction::AlreadyInitialized,
            StartFunction::AlreadyInitialized,
        ),
        (
            types::StartFunction::AlreadyInitializedTls,
            StartFunction::AlreadyInitializedTls,
        ),
        (
            types::StartFunction::WritesStripped,
            StartFunction::WritesStripped,
        ),
    ];
    let found = all.iter().find(|(number, _)| *number as u32 == treatment);
    let (_, treatment) = found.ok_or_else(|| {
        Error::invalid(format_args!("no treatment of start functions: {treatment}"))
    })?;
    extend(host, |host| host.with_start_function(*treatment))
}

/// Loads an artifact, for a host that declares nothing if there is none.
pub(crate) fn load(artifact: &[u8], host: Option<&RwLock<Host>>) -> Result<PreparedModule, Error> {
    let host = match host {
        Some(host) => read(host, "host")?.clone(),
        None => Host::new(),
    };
    Ok(wasm_meminit::load(artifact, &host)?)
}

pub(crate) fn load_file(path: &str, host: Option<&RwLock<Host>>) -> Result<PreparedModule, Error> {
    load(&std::fs::read(path)?, host)
}

pub(crate) fn info(module: &PreparedModule) -> ModuleInfo {
    ModuleInfo {
        struct_size: size_of::<ModuleInfo>(),
        n_memories: len_u64(module.memories().len()),
        n_globals: len_u64(module.globals().len()),
        n_replayed: len_u64(module.n_replayed()),
        elements_may_trap: u32::from(module.elements_may_trap()),
        has_baked_start: u32::from(module.start().is_some()),
    }
}

pub(crate) fn memory(module: &PreparedModule, index: u32) -> Result<&PreparedMemory, Error> {
    let memory = module.memory(MemoryIndex::from_u32(expect_index(index)?));
    memory.ok_or_else(|| {
        let n_memories = module.memories().len();
        Error::new(
            Status::NotFound,
            format_args!("no memory {index}: the module has {n_memories}"),
        )
    })
}

pub(crate) fn memory_info(module: &PreparedModule, index: u32) -> Result<MemoryInfo, Error> {
    let memory = memory(module, index)?;
    let image = memory.image();
    Ok(MemoryInfo {
        struct_size: size_of::<MemoryInfo>(),
        min_bytes: memory.min_bytes(),
        max_bytes: memory.ty().max_bytes().unwrap_or(u64::MAX),
        image_end: image.map_or(0, |image| image.data_end()),
        index_type: value_type(memory.ty().index_type) as u32,
        is_imported: u32::from(memory.is_imported()),
        is_shared: u32::from(memory.ty().shared),
        has_image: u32::from(image.is_some()),
    })
}

pub(crate) fn image(module: &PreparedModule, index: u32) -> Result<Arc<MemoryImage>, Error> {
    let image = memory(module, index)?.image().cloned();
    image.ok_or_else(|| {
        Error::new(
            Status::NotFound,
            format_args!("memory {index} has no image: it starts zeroed"),
        )
    })
}

/// Returns the index and the type of the `nth` global that each start needs, with the value 0.
pub(crate) fn global(module: &PreparedModule, nth: u64) -> Result<Global, Error> {
    let n_globals = module.globals().len();
    let found = usize::try_from(nth).ok();
    let found = found.and_then(|nth| module.globals().nth(nth));
    let (index, ty) = found.ok_or_else(|| {
        Error::new(
            Status::NotFound,
            format_args!("no global {nth}: each start needs {n_globals}"),
        )
    })?;
    Ok(Global {
        index: index.as_u32(),
        value_type: value_type(ty) as u32,
        bits: 0,
    })
}

/// Returns the index and the value of a global, checked.
pub(crate) fn value_of(global: &Global) -> Result<(GlobalIndex, Value), Error> {
    let index = GlobalIndex::from_u32(expect_index(global.index)?);
    Ok((index, value(global.value_type, global.bits)?))
}

/// Makes an image of the contents of a memory.
pub(crate) fn capture(memory: &[u8]) -> Result<MemoryImage, Error> {
    let image = Image::capture(memory).map_err(|err| Error::new(Status::DoesNotFit, err))?;
    Ok(MemoryImage::new(image.as_ref())?)
}

/// The largest number is reserved, and an index of that value would panic.
fn expect_index(index: u32) -> Result<u32, Error> {
    match index {
        u32::MAX => Err(Error::invalid(format_args!("{index} is not an index"))),
        index => Ok(index),
    }
}

fn value(value_type: u32, bits: u64) -> Result<Value, Error> {
    // Of an i32, only the lower bits count.
    let lower = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    match value_type {
        ty if ty == ValueType::I32 as u32 => Ok(Value::I32(lower.cast_signed())),
        ty if ty == ValueType::I64 as u32 => Ok(Value::I64(bits.cast_signed())),
        other => Err(Error::invalid(format_args!("no value type: {other}"))),
    }
}

const fn value_type(ty: IndexType) -> ValueType {
    match ty {
        IndexType::I32 => ValueType::I32,
        IndexType::I64 => ValueType::I64,
    }
}

fn len_u64(len: usize) -> u64 {
    // Never saturates: no target has more than 64 bits.
    u64::try_from(len).unwrap_or(u64::MAX)
}
