//! Builds an image from the bytes of a live memory, for snapshot tools.

use wasm_meminit_analysis::{
    IndexType, MemoryType, ModuleBuilder, OffsetExpr, Plan, Policy, Reason, Value, WasmPageSize,
};

use crate::image::error::BuildError;
use crate::image::memory::Image;
use crate::image::module::ModuleImage;

impl Image {
    /// Builds the image of a memory that contains these bytes from address 0, with the
    /// default policy.
    ///
    /// The memory is treated as one segment of its length, so the same code trims a captured
    /// image and splits it into runs as for one built from a module.
    ///
    /// ```
    /// use wasm_meminit_analysis::Run;
    /// use wasm_meminit_image_builder::Image;
    ///
    /// let mut memory = vec![0; 2 * 65536];
    /// memory[70_000] = 7;
    /// let image = Image::capture(&memory)?;
    /// assert_eq!(image.as_ref().layout(), [Run { addr: 69_632, len: 4096 }]);
    /// # Ok::<(), wasm_meminit_image_builder::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the image exceeds the policy's limit or does not fit in the address
    /// space.
    pub fn capture(memory: &[u8]) -> Result<Self, BuildError> {
        Self::capture_with(memory, &Policy::default())
    }

    /// Like [`capture`](Self::capture), with a given policy.
    ///
    /// # Errors
    ///
    /// The same as [`capture`](Self::capture); and [`BuildError::PageSize`] if the policy
    /// rejects wasm pages smaller than its host pages, as [`Policy::single_run`] does for
    /// host pages above 64 KiB. The density rule does not apply: a captured memory is never
    /// too sparse.
    pub fn capture_with(memory: &[u8], policy: &Policy) -> Result<Self, BuildError> {
        let image_bytes = u64::try_from(memory.len()).unwrap_or(u64::MAX);
        let too_large = |_| BuildError::TooLarge { image_bytes };
        let page_size = WasmPageSize::Kib64;
        let ty = MemoryType {
            index_type: IndexType::I64,
            shared: false,
            page_size,
            min: image_bytes.div_ceil(page_size.bytes()),
            max: None,
        };
        let mut builder = ModuleBuilder::new();
        builder.memory(ty).map_err(too_large)?;
        builder
            .active_segment(0, OffsetExpr::Const(Value::I64(0)), memory)
            .map_err(too_large)?;
        let module = builder.finish().map_err(too_large)?;
        let plan = Plan::new(&module, policy);
        let mut images = ModuleImage::build(&module, &plan)?.into_images();
        match (plan.reasons().first().map(|it| it.reason), images.next()) {
            (None, Some(image)) => Ok(image),
            (Some(Reason::SizeLimit { image_bytes, limit }), _) => {
                Err(BuildError::SizeLimit { image_bytes, limit })
            }
            (Some(Reason::PageSize { page_size }), _) => Err(BuildError::PageSize {
                wasm_page: page_size,
                host_page: policy.page_size().bytes(),
            }),
            _ => Err(BuildError::TooLarge { image_bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use wasm_meminit_analysis::HostPageSize;

    use super::*;

    #[test]
    fn an_error_names_its_reason() {
        let memory = vec![1; 1 << 16];
        let page = HostPageSize::new(2 << 20).unwrap();
        assert_eq!(
            Image::capture_with(&memory, &Policy::reference(page)),
            Err(BuildError::PageSize {
                wasm_page: 1 << 16,
                host_page: 2 << 20
            })
        );
        let small = Policy::default().with_max_image_size(4096);
        assert_eq!(
            Image::capture_with(&memory, &small),
            Err(BuildError::SizeLimit {
                image_bytes: 1 << 16,
                limit: 4096
            })
        );
    }
}
