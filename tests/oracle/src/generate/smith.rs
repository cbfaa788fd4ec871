//! Modules from wasm-smith, which knows nothing about our edge cases.

use arbitrary::Unstructured;
use wasm_smith::{Config, InstructionKinds, Module};

/// Returns the module for a seed. If its first bytes give no module, tries the following ones.
pub fn smith_module(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    loop {
        if let Some(wasm) = module_of(&mut random, seed) {
            return wasm;
        }
    }
}

fn module_of(random: &mut SplitMix64, seed: u64) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = (0..256).flat_map(|_| random.next().to_le_bytes()).collect();
    // Otherwise almost every module would trap at its first segment.
    let disallow_traps = !seed.is_multiple_of(4);
    smith_module_from(&mut Unstructured::new(&bytes), disallow_traps)
}

/// Returns the module that is made of these bytes, if there are enough.
pub fn smith_module_from(bytes: &mut Unstructured<'_>, disallow_traps: bool) -> Option<Vec<u8>> {
    let config = Config {
        // Features that the engine supports; bodies are not run, so a few are enough.
        gc_enabled: false,
        exceptions_enabled: false,
        custom_page_sizes_enabled: true,
        memory64_enabled: true,
        threads_enabled: true,
        allowed_instructions: InstructionKinds::none(),
        max_funcs: 3,
        max_types: 3,
        max_exports: 0,
        max_imports: 6,
        max_globals: 6,
        max_memories: 3,
        min_memories: 1,
        max_memory32_bytes: 1 << 20,
        max_memory64_bytes: 1 << 20,
        max_table_elements: 10,
        max_elements: 4,
        max_element_segments: 2,
        min_data_segments: 1,
        max_data_segments: 12,
        disallow_traps,
        ..Config::default()
    };
    let module = Module::new(config, bytes).ok()?;
    Some(module.to_bytes())
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
