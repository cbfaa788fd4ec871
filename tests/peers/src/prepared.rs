//! A program whose data is in an image instead of in the module.

use alloc::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, MemoryType, Module, Plan, Policy, SegmentMode, WasmPageSize,
};
use wasm_meminit_apply::{MemoryImage, copy_into_zeroed};
use wasm_meminit_image_builder::rewrite::{DEFAULT_IMPORT_MODULE, externalize, strip};
use wasm_meminit_image_builder::{Image, ModuleImage};

/// A module with one memory, ready to start from an image of that memory.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The module, for an adapter that builds the image itself.
    pub wasm: Vec<u8>,
    /// The module without its data.
    pub stripped: Vec<u8>,
    /// The same, with its memory imported.
    pub external: Vec<u8>,
    /// The module and name under which `external` imports its memory.
    pub import: (String, String),
    /// Whether the original module imports its memory.
    pub was_imported: bool,
    /// The memory's type; its minimum is the initial size.
    pub memory: MemoryType,
    /// The image, for copying.
    pub image: Image,
    /// The image, for mapping.
    pub mapped: Arc<MemoryImage>,
    /// Where the image's bytes come from.
    pieces: Vec<Piece>,
}

/// Bytes of a data segment that are in the image.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Their address in the memory.
    addr: usize,
    /// Their offset in the module.
    offset: usize,
    len: usize,
}

impl Prepared {
    /// Bakes every data segment of a module.
    ///
    /// An imported memory is promised to be zeroed and used by nothing else.
    ///
    /// # Errors
    ///
    /// The module does not have exactly one memory, or has a segment that is not baked, so that
    /// an engine would still replay something.
    pub fn new(wasm: &[u8]) -> Result<Self> {
        // ANCHOR: plan
        let module = Module::parse(wasm)?;
        let policy = Policy::balanced(HostPageSize::KIB_4).with_zeroed_imports(true);
        let plan = Plan::new(&module, &policy);
        // ANCHOR_END: plan
        ensure!(plan.memories().len() == 1, "expected exactly one memory");
        ensure!(
            module.start().is_none(),
            "code runs before the host can look"
        );
        ensure!(plan.replay().is_empty(), "{:?}", plan.reasons());
        let index = MemoryIndex::from_u32(0);
        let memory = plan.memories()[index].ty();
        ensure!(
            memory.page_size == WasmPageSize::Kib64,
            "{:?}",
            memory.page_size
        );
        // ANCHOR: image
        let image = ModuleImage::build(&module, &plan)?;
        let image = image.image(index).context("no such memory")?.to_image();
        let stripped = strip(&module, &plan)?;
        let module = Module::parse(&stripped)?;
        let external = externalize(&module, DEFAULT_IMPORT_MODULE, &|_| "memory".into())?;
        // ANCHOR_END: image

        let module = Module::parse(&external)?;
        let segments = module.segments().values();
        let active = segments.filter(|it| it.mode != SegmentMode::Passive);
        let n_left: usize = active.map(|it| it.data.len()).sum();
        ensure!(n_left == 0, "{n_left} bytes would still be written");
        let import = module.memories()[index].import.context("externalized")?;
        let mut pieces = Vec::new();
        for piece in plan.memories()[index].pieces() {
            pieces.push(Piece {
                addr: usize::try_from(piece.addr)?,
                offset: offset_in(wasm, &piece.data).context("not from the module")?,
                len: piece.data.len(),
            });
        }
        Ok(Self {
            pieces,
            wasm: wasm.to_vec(),
            import: (import.module.into(), import.name.into()),
            was_imported: plan.memories()[index].is_imported(),
            memory,
            mapped: Arc::new(MemoryImage::new(image.as_ref())?),
            image,
            external,
            stripped,
        })
    }

    /// Returns the memory's initial size in bytes.
    pub fn min_bytes(&self) -> u64 {
        self.memory.min_bytes().unwrap_or(u64::MAX)
    }

    /// Returns the memory's initial contents.
    ///
    /// # Errors
    ///
    /// The memory is larger than the address space.
    pub fn initial_contents(&self) -> Result<Vec<u8>> {
        let mut memory = vec![0; usize::try_from(self.min_bytes())?];
        copy_into_zeroed(self.image.as_ref(), &mut memory)?;
        Ok(memory)
    }

    /// Returns the same program with one wrong bit in its image, where `marker` first occurs.
    ///
    /// # Errors
    ///
    /// The image does not contain `marker`.
    pub fn with_flipped_bit(&self, marker: &[u8]) -> Result<Self> {
        let mut memory = self.initial_contents()?;
        let at = memory
            .windows(marker.len())
            .position(|it| it == marker)
            .context("the image does not contain the marker")?;
        memory[at] ^= 1;
        self.with_image(&memory)
    }

    /// Returns the same program with an image of these bytes, followed by zeros.
    ///
    /// # Errors
    ///
    /// The image cannot be allocated.
    pub fn with_image(&self, memory: &[u8]) -> Result<Self> {
        let image = Image::capture(memory)?;
        let mut wasm = self.wasm.clone();
        for piece in &self.pieces {
            for nth in 0..piece.len {
                let byte = memory.get(piece.addr + nth).copied();
                wasm[piece.offset + nth] = byte.unwrap_or(0);
            }
        }
        Ok(Self {
            mapped: Arc::new(MemoryImage::new(image.as_ref())?),
            image,
            wasm,
            ..self.clone()
        })
    }
}

/// Returns the offset of `part` in `whole`, which it is borrowed from.
fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let offset = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (offset + part.len() <= whole.len()).then_some(offset)
}
