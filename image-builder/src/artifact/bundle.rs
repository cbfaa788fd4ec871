//! Bundles: the artifacts of all core modules of a component in one file.
//!
//! `FORMAT.md` is the specification.

use alloc::vec::Vec;
use core::fmt;

use wasm_meminit_analysis::HostPageSize;

use crate::artifact::encode::EncodedArtifact;
use crate::artifact::error::DecodeError;
use crate::artifact::file::Artifact;
use crate::artifact::head::ArtifactHead;
use crate::length::len_u64;

/// The first bytes of every bundle.
pub const BUNDLE_MAGIC: [u8; 8] = *b"\x89WMB\r\n\x1a\n";

/// The only version of bundles that this crate writes and reads.
pub const BUNDLE_VERSION: u32 = 1;

/// Magic, version, number of artifacts, checksum of the index, and four bytes of zero.
const INDEX_AT: usize = 24;

/// The size of an entry of the index: offset and length.
const ENTRY_LEN: usize = 16;

/// The most artifacts in a bundle: as many core modules as
/// [`Module::parse_all`](wasm_meminit_analysis::Module) reads from a component.
pub const MAX_BUNDLED: usize = wasm_meminit_analysis::limits::MAX_MODULES;

/// The artifacts of all core modules of a component, in the order of the modules.
///
/// ```
/// use wasm_meminit_analysis::{MemoryIndex, Module, Plan, Policy};
/// use wasm_meminit_image_builder::{Bundle, ModuleImage};
///
/// let wasm = wat::parse_str(
///     r#"(component
///         (core module (memory 1) (data (i32.const 0) "first"))
///         (core module (memory 1) (data (i32.const 0) "second")))"#,
/// )?;
/// let mut artifacts = Vec::new();
/// for module in Module::parse_all(&wasm)? {
///     let plan = Plan::new(&module, &Policy::default());
///     artifacts.push(ModuleImage::build(&module, &plan)?.encode()?);
/// }
/// let parts: Vec<&[u8]> = artifacts.iter().map(Vec::as_slice).collect();
/// let bytes = Bundle::encode(&parts)?;
/// let bundle = Bundle::decode(&bytes)?;
/// let second = bundle.artifacts()[1].image(MemoryIndex::from_u32(0));
/// assert!(second.expect("a memory").bytes().starts_with(b"second"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bundle<'a> {
    artifacts: Vec<Artifact<'a>>,
    /// The offset and the bytes of each artifact.
    parts: Vec<(u64, &'a [u8])>,
}

/// Prints the artifacts' heads, never the bytes of their images.
impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bundle").field(&self.artifacts).finish()
    }
}

impl<'a> Bundle<'a> {
    /// Returns the bytes of a bundle of these artifacts. Each begins at a multiple of its
    /// [file alignment](ArtifactHead::file_alignment), so that it can be mapped as a part of the
    /// bundle.
    ///
    /// # Errors
    ///
    /// [`BundleError::TooMany`]; [`BundleError::Artifact`] if the header of one is invalid; and
    /// [`BundleError::TooLarge`] if the bundle would not fit the address space or its allocation
    /// fails.
    pub fn encode(artifacts: &[&[u8]]) -> Result<Vec<u8>, BundleError> {
        let parts = artifacts.iter().map(|it| (*it, len_u64(it.len())));
        let BundleHead {
            bytes: mut out,
            offsets,
            file_len,
        } = BundleHead::of(parts)?;
        // Before anything is copied or padded.
        let len = usize::try_from(file_len).map_err(|_| BundleError::TooLarge)?;
        out.try_reserve_exact(len.saturating_sub(out.len()))
            .map_err(|_| BundleError::TooLarge)?;
        for (artifact, offset) in artifacts.iter().zip(offsets) {
            let start = usize::try_from(offset).map_err(|_| BundleError::TooLarge)?;
            out.resize(start, 0);
            out.extend_from_slice(artifact);
        }
        Ok(out)
    }

    /// Whether these are the first bytes of a bundle, or could be if there were more of them.
    pub fn is_bundle(first: &[u8]) -> bool {
        !first.is_empty() && (first.starts_with(&BUNDLE_MAGIC) || BUNDLE_MAGIC.starts_with(first))
    }

    /// Decodes a bundle and checks all of it: the index, the padding, and each artifact as
    /// [`Artifact::decode`] does.
    ///
    /// Allocates what the artifacts allocate, and less than 1 KiB for each artifact that is
    /// complete.
    ///
    /// # Errors
    ///
    /// [`BundleError`] for the first error found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BundleError> {
        if !bytes.starts_with(&BUNDLE_MAGIC) {
            return Err(match Self::is_bundle(bytes) {
                true => truncated(INDEX_AT, bytes),
                false => BundleError::NotABundle,
            });
        }
        let (index, checksum) = fields(bytes)?;
        if crc32fast::hash(index.as_flattened()) != checksum {
            return Err(BundleError::Checksum);
        }
        let mut end = INDEX_AT.saturating_add(index.as_flattened().len());
        // Not reserved: an entry of the index is smaller than a decoded artifact.
        let mut parts = Vec::new();
        let mut artifacts = Vec::new();
        for (nth, entry) in index.iter().enumerate() {
            let invalid = BundleError::Index { entry: nth };
            let (offset, len) = offset_and_len(entry);
            let start = usize::try_from(offset).map_err(|_| invalid)?;
            let len = usize::try_from(len).map_err(|_| invalid)?;
            let stop = start.checked_add(len).ok_or(invalid)?;
            // Before the end of the last one, or after a gap of more than padding: the first
            // makes no sense, and the second is found below.
            let padding = bytes.get(end..start);
            let padding = padding.ok_or_else(|| match start < end {
                true => invalid,
                false => truncated(stop, bytes),
            })?;
            let part = bytes.get(start..stop);
            let part = part.ok_or_else(|| truncated(stop, bytes))?;
            let artifact = Artifact::decode(part)
                .map_err(|error| BundleError::Artifact { entry: nth, error })?;
            // The only place where it may begin, so that a bundle has one encoding.
            if padded(len_u64(end), artifact.file_alignment()) != Some(offset) {
                return Err(invalid);
            }
            if padding.iter().any(|it| *it != 0) {
                return Err(BundleError::Padding { entry: nth });
            }
            artifacts.push(artifact);
            parts.push((offset, part));
            end = stop;
        }
        if end != bytes.len() {
            return Err(BundleError::TrailingBytes {
                expected: len_u64(end),
                found: len_u64(bytes.len()),
            });
        }
        Ok(Self { artifacts, parts })
    }

    /// Returns the artifacts, one for each core module of the component, in order.
    pub fn artifacts(&self) -> &[Artifact<'a>] {
        &self.artifacts
    }

    /// Returns the offset of an artifact in the bundle, and its bytes; `None` if there is no
    /// such artifact.
    ///
    /// The file offsets that an artifact contains are relative to its own beginning. So code that
    /// maps a memory from the file of an artifact must add this offset, or have the artifact
    /// in a file of its own.
    pub fn part(&self, nth: usize) -> Option<(u64, &'a [u8])> {
        self.parts.get(nth).copied()
    }
}

/// The first bytes of a bundle, and where its artifacts begin: to write one without copying
/// images, and to know its length before.
///
/// After [`bytes`](Self::bytes), write each artifact at its [offset](Self::offsets), with zeros
/// before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleHead {
    bytes: Vec<u8>,
    offsets: Vec<u64>,
    file_len: u64,
}

impl BundleHead {
    /// Returns the head of a bundle of these artifacts.
    ///
    /// # Errors
    ///
    /// Those of [`Bundle::encode`].
    pub fn new(artifacts: &[EncodedArtifact<'_>]) -> Result<Self, BundleError> {
        Self::of(artifacts.iter().map(|it| (it.head(), it.file_len())))
    }

    /// Returns everything before the first artifact, without padding.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the offset of each artifact.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Returns the length of the bundle in bytes.
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Takes the head of each artifact, or all of it, and its length.
    fn of<'a>(
        artifacts: impl ExactSizeIterator<Item = (&'a [u8], u64)>,
    ) -> Result<Self, BundleError> {
        let found = artifacts.len();
        let too_many = BundleError::TooMany { found };
        if MAX_BUNDLED < found {
            return Err(too_many);
        }
        let n = u32::try_from(found).map_err(|_| too_many)?;
        let mut index = Vec::new();
        let mut end = len_u64(INDEX_AT.saturating_add(found.saturating_mul(ENTRY_LEN)));
        let mut offsets = Vec::new();
        for (entry, (artifact, len)) in artifacts.enumerate() {
            let head = ArtifactHead::decode(artifact);
            let head = head.map_err(|error| BundleError::Artifact { entry, error })?;
            let offset = padded(end, head.file_alignment()).ok_or(BundleError::TooLarge)?;
            index.extend_from_slice(&offset.to_le_bytes());
            index.extend_from_slice(&len.to_le_bytes());
            offsets.push(offset);
            end = offset.checked_add(len).ok_or(BundleError::TooLarge)?;
        }
        let mut bytes = Vec::with_capacity(INDEX_AT.saturating_add(index.len()));
        bytes.extend_from_slice(&BUNDLE_MAGIC);
        bytes.extend_from_slice(&BUNDLE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&n.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&index);
        Ok(Self {
            bytes,
            offsets,
            file_len: end,
        })
    }
}

/// Returns the entries of the index, and the checksum that they should have.
fn fields(bytes: &[u8]) -> Result<(&[[u8; ENTRY_LEN]], u32), BundleError> {
    let short = truncated(INDEX_AT, bytes);
    let (head, rest) = bytes.split_at_checked(INDEX_AT).ok_or(short)?;
    let (_, words) = head.split_at_checked(BUNDLE_MAGIC.len()).ok_or(short)?;
    let (words, _) = words.as_chunks::<4>();
    let [version, n, checksum, zero] = words else {
        return Err(short);
    };
    let found = u32::from_le_bytes(*version);
    if found != BUNDLE_VERSION {
        return Err(BundleError::Version {
            found,
            supported: BUNDLE_VERSION,
        });
    }
    if *zero != [0; 4] {
        return Err(BundleError::Preamble);
    }
    let n = usize::try_from(u32::from_le_bytes(*n)).map_err(|_| BundleError::Preamble)?;
    if MAX_BUNDLED < n {
        return Err(BundleError::TooMany { found: n });
    }
    let (entries, _) = rest.as_chunks::<ENTRY_LEN>();
    let end = INDEX_AT.saturating_add(n.saturating_mul(ENTRY_LEN));
    let index = entries.get(..n).ok_or_else(|| truncated(end, bytes))?;
    Ok((index, u32::from_le_bytes(*checksum)))
}

/// Rounds an offset up to where an artifact of that alignment begins.
fn padded(offset: u64, alignment: HostPageSize) -> Option<u64> {
    offset.checked_next_multiple_of(alignment.bytes())
}

fn offset_and_len(entry: &[u8; ENTRY_LEN]) -> (u64, u64) {
    let (numbers, _) = entry.as_chunks::<8>();
    let number = |nth: usize| numbers.get(nth).map_or(0, |it| u64::from_le_bytes(*it));
    (number(0), number(1))
}

fn truncated(expected: usize, bytes: &[u8]) -> BundleError {
    BundleError::Truncated {
        expected: len_u64(expected),
        found: len_u64(bytes.len()),
    }
}

/// Error of encoding or decoding a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// The input does not begin with [`BUNDLE_MAGIC`].
    NotABundle,
    /// The version is not supported.
    Version {
        /// The version in the file.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },
    /// A field at the front is invalid.
    Preamble,
    /// There are more artifacts than [`MAX_BUNDLED`].
    TooMany {
        /// Their number.
        found: usize,
    },
    /// The bundle would not fit the address space, or its allocation failed.
    TooLarge,
    /// The input is shorter than its index implies.
    Truncated {
        /// The expected length in bytes.
        expected: u64,
        /// The length of the input in bytes.
        found: u64,
    },
    /// The input is longer than its index implies.
    TrailingBytes {
        /// The expected length in bytes.
        expected: u64,
        /// The length of the input in bytes.
        found: u64,
    },
    /// The index does not match its checksum.
    Checksum,
    /// An entry of the index does not name the place where its artifact must be.
    Index {
        /// The position of the entry.
        entry: usize,
    },
    /// A byte before an artifact is not zero.
    Padding {
        /// The position of the artifact.
        entry: usize,
    },
    /// An artifact is invalid.
    Artifact {
        /// Its position.
        entry: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABundle => f.write_str("not a wasm-meminit bundle"),
            Self::Version { found, supported } => {
                write!(
                    f,
                    "bundle has version {found}, expected version {supported}\nhint: build it again from its component"
                )
            }
            Self::Preamble => f.write_str("bundle damaged: invalid preamble"),
            Self::TooMany { found } => {
                write!(f, "{found} artifacts, at most {MAX_BUNDLED} fit a bundle")
            }
            Self::TooLarge => f.write_str("the bundle is too large for memory"),
            Self::Truncated { expected, found } => {
                write!(f, "bundle truncated: {found} bytes, expected {expected}")
            }
            Self::TrailingBytes { expected, found } => {
                write!(
                    f,
                    "bundle has trailing bytes: {found} bytes, expected {expected}"
                )
            }
            Self::Checksum => f.write_str("bundle damaged: checksum mismatch in the index"),
            Self::Index { entry } => {
                write!(f, "bundle damaged: invalid entry {entry} of the index")
            }
            Self::Padding { entry } => {
                write!(f, "bundle damaged: invalid padding before artifact {entry}")
            }
            Self::Artifact { entry, error } => write!(f, "artifact {entry}: {error}"),
        }
    }
}

impl core::error::Error for BundleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Artifact { error, .. } => Some(error),
            _ => None,
        }
    }
}
