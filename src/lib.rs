//! Initialises the linear memories of WebAssembly modules from images that are built ahead of
//! time, and resets them.
//!
//! An engine that replays a module's data segments at every instantiation pays for them every
//! time. Here, all of them whose addresses are known are built into an image once; a start
//! maps it, replays the other segments, and a reset restores the initial contents.
//!
//! This crate re-exports the three libraries that do the work, and connects them: [`build`]
//! turns a module into an artifact, [`load`] turns an artifact into a [`PreparedModule`], and
//! [`prepare`] does both in one process.
//!
//! # In one process
//!
//! <!-- tests/road.rs: one_process -->
//! ```
//! use wasm_meminit::{MemorySlot, Module, Policy, SlotConfig, Value};
//!
//! let wasm = std::fs::read("tests/modules/tour.wasm")?;
//! let module = wasm_meminit::prepare(&Module::parse(&wasm)?, &Policy::default())?;
//! let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
//! for base in [0x3000, 0x4000] {
//!     module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(base)))?;
//!     slot.as_mut_slice().fill(1); // what the program does
//!     slot.reset()?;
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! The module is *hybrid*: the host chooses the address of one segment, through an imported
//! global. [`PreparedModule::instantiate`] replays that segment into each instance, with the
//! value that it gets for the global.
//!
//! # Ahead of time, and later from a file
//!
//! <!-- tests/road.rs: from_a_file -->
//! ```
//! use wasm_meminit::{Host, MemorySlot, Module, Policy, SlotConfig, Value};
//!
//! // Ahead of time:
//! let wasm = std::fs::read("tests/modules/tour.wasm")?;
//! let artifact = wasm_meminit::build(&Module::parse(&wasm)?, &Policy::default())?;
//! let file = std::env::temp_dir().join(format!("{}.meminit", std::process::id()));
//! std::fs::write(&file, artifact)?;
//!
//! // Later, in a program that needs no wasm parser:
//! let module = wasm_meminit::load(&std::fs::read(&file)?, &Host::new())?;
//! let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
//! module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(0x3000)))?;
//! slot.as_mut_slice().fill(1); // what the program does
//! slot.reset()?;
//! # std::fs::remove_file(&file)?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! [`load`] checks the whole file. Where the system allows it, the images are then in sealed
//! memory files, which nobody can change, and every start maps them. To map the images from the
//! artifact's own file, see [`PreparedModule::with_images`].
//!
//! # In an engine that has its own parser
//!
//! <!-- tests/road.rs: own_parser -->
//! ```
//! use wasm_meminit::{MemorySlot, ModuleBuilder, Policy, SlotConfig, Value};
//!
//! let wasm = std::fs::read("tests/modules/tour.wasm")?;
//! let mut builder = ModuleBuilder::new();
//! for payload in wasm_meminit::analysis::wasmparser::Parser::new(0).parse_all(&wasm) {
//!     builder.payload(&payload?)?; // in the engine's own loop
//! }
//! let module = wasm_meminit::prepare(&builder.finish()?, &Policy::default())?;
//! let mut slot = MemorySlot::new(&SlotConfig::new(64 << 20))?;
//! module.instantiate(&mut [(&mut slot).into()], &|_| Some(Value::I32(0x3000)))?;
//! // The program runs in the slot's memory.
//! slot.reset()?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! An engine whose parser is another one calls the builder's other methods, such as
//! [`ModuleBuilder::active_segment`].
//!
//! # The guide
//!
//! [The guide](https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/README.md)
//! explains the whole project; [From a wasm file to a running instance][page] is
//! the page about this crate.
//!
//! [page]: https://github.com/wasm-meminit/wasm-meminit/blob/main/docs/first-steps.md
//!
//! # Crate features
//!
//! * **`cli`** (default): builds the command-line tool. The library does not need it.
//! * **`parse`** (part of `cli`): parses binary modules with wasmparser. A program that only
//!   loads artifacts does without: `default-features = false`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc(test(attr(deny(warnings))))]

extern crate alloc;

pub use wasm_meminit_analysis as analysis;
pub use wasm_meminit_apply as apply;
pub use wasm_meminit_image_builder as image_builder;

pub use analysis::{Module, ModuleBuilder, Policy, Value};
pub use apply::{Host, MemorySlot, PreparedModule, SlotConfig};

use alloc::vec::Vec;
use core::fmt;

use analysis::Plan;
use apply::PrepareError;
use image_builder::{Artifact, BuildError, DecodeError, EncodeError, ModuleImage};

/// Builds the artifact of a module: the images of its memories, and the segments that must
/// still be replayed at each start.
///
/// The artifact records what the module and the policy state about the host, such as the value
/// of an imported global ([`Module::with_global`]).
///
/// # Errors
///
/// [`Error::Build`] if an image is too large, and [`Error::Encode`].
pub fn build(module: &Module<'_>, policy: &Policy) -> Result<Vec<u8>, Error> {
    let plan = Plan::new(module, policy);
    let image = ModuleImage::build(module, &plan).map_err(Error::Build)?;
    image.encode().map_err(Error::Encode)
}

/// Checks an artifact completely and copies what each start needs out of it. A file that the
/// tool builds from a component with several memories is a
/// [`Bundle`](image_builder::Bundle) of artifacts.
///
/// `host` declares what the host supplies to the module's imports. [`Host::new`] declares
/// nothing, which is enough for any artifact that depends on nothing.
///
/// # Errors
///
/// [`Error::Decode`] if the artifact is damaged, and [`Error::Prepare`] if it depends on
/// something that the host does not supply.
pub fn load(artifact: &[u8], host: &Host) -> Result<PreparedModule, Error> {
    let artifact = Artifact::decode(artifact).map_err(Error::Decode)?;
    PreparedModule::for_host(&artifact, host).map_err(Error::Prepare)
}

/// Prepares a module for instantiation in the same process: [`build`], then [`load`].
///
/// If the module or the policy states something about the host, use these two instead, so that
/// the [`Host`] confirms it.
///
/// # Errors
///
/// The errors of both.
pub fn prepare(module: &Module<'_>, policy: &Policy) -> Result<PreparedModule, Error> {
    load(&build(module, policy)?, &Host::new())
}

/// The step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An image could not be built.
    Build(BuildError),
    /// The artifact could not be encoded.
    Encode(EncodeError),
    /// The artifact is damaged, or is not one.
    Decode(DecodeError),
    /// The artifact was built for another host, or the system refused something.
    Prepare(PrepareError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(err) => err.fmt(f),
            Self::Encode(err) => err.fmt(f),
            Self::Decode(err) => err.fmt(f),
            Self::Prepare(err) => err.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Build(err) => err.source(),
            Self::Encode(err) => err.source(),
            Self::Decode(err) => err.source(),
            Self::Prepare(err) => err.source(),
        }
    }
}
