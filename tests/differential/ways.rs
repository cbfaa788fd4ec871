//! Every way in which this project initialises memories.
//!
//! A new way is one line in [`WAYS`]. A way receives the module and the host, never the
//! expected outcome.

use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, MemoryInitialization, Module, Plan, Policy,
};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use super::real::{self, Source};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::instance::{instantiate, memories};
use wasm_meminit_test_oracle::memory::{Memory, Outcome, to_usize};
use wasm_meminit_test_oracle::shape::Shape;

/// A way to initialise memories.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// It is used for one plan in this many.
    pub(crate) every: u64,
    /// Returns the outcome, or `None` if the memories are too large.
    pub(crate) run: fn(&Subject<'_>) -> Result<Option<Outcome>, String>,
}

const fn way(name: &'static str, run: fn(&Subject<'_>) -> Result<Option<Outcome>, String>) -> Way {
    Way {
        name,
        every: 1,
        run,
    }
}

/// A way through a serialisation format. Each module has dozens of plans, so it is used
/// several times per module, and with different policies for different modules.
const fn through(
    name: &'static str,
    run: fn(&Subject<'_>) -> Result<Option<Outcome>, String>,
) -> Way {
    Way {
        name,
        every: 7,
        run,
    }
}

pub(crate) const WAYS: &[Way] = &[
    way("replayed from the module", |it| {
        it.run(&it.module.memory_initialization()).map(Some)
    }),
    way("built image", |it| {
        it.run(&it.image.initialization()).map(Some)
    }),
    way("decoded artifact", |it| {
        let artifact = Artifact::decode(&it.artifact).map_err(|err| err.to_string())?;
        if artifact.elements_may_trap() != it.module.elements_may_trap() {
            return Err("the artifact's flag for element segments is wrong".into());
        }
        it.run(&artifact.initialization()).map(Some)
    }),
    through("plan and initialisation through postcard", |it| {
        let bytes = postcard::to_allocvec(&it.plan).map_err(|err| err.to_string())?;
        let plan: Plan<'_> = postcard::from_bytes(&bytes).map_err(|err| err.to_string())?;
        it.run_read(&plan, |init, state| {
            let bytes = postcard::to_allocvec(init).map_err(|err| err.to_string())?;
            let init = postcard::from_bytes(&bytes).map_err(|err| err.to_string())?;
            state(&init)
        })
    }),
    through("plan and initialisation through JSON", |it| {
        if MAX_JSON_BYTES < it.artifact.len() {
            return Ok(None);
        }
        let text = serde_json::to_string(&it.plan).map_err(|err| err.to_string())?;
        let plan: Plan<'_> = serde_json::from_str(&text).map_err(|err| err.to_string())?;
        it.run_read(&plan, |init, state| {
            let text = serde_json::to_string(init).map_err(|err| err.to_string())?;
            let init = serde_json::from_str(&text).map_err(|err| err.to_string())?;
            state(&init)
        })
    }),
    way("replayed in a buffer", real::replay),
    way("copied into a buffer", |it| real::start(it, Source::Copy)),
    way("mapped", |it| real::start(it, Source::Mapped)),
    way("copied into a slot", |it| real::start(it, Source::Heap)),
    #[cfg(target_os = "linux")]
    way("mapped from the artifact file", |it| {
        real::start(it, Source::File)
    }),
];

/// JSON needs four characters per byte; larger modules are tested once, by `tests/serialized`.
const MAX_JSON_BYTES: usize = 24 << 10;

/// The input of a way.
pub(crate) struct Subject<'a> {
    pub(crate) shape: &'a Shape<'a>,
    pub(crate) host: &'a Host,
    pub(crate) module: &'a Module<'a>,
    pub(crate) plan: Plan<'a>,
    pub(crate) image: ModuleImage<'a>,
    pub(crate) artifact: Vec<u8>,
}

impl<'a> Subject<'a> {
    /// Builds and encodes the image. `module` has the globals that are known ahead of time.
    pub(crate) fn new(
        shape: &'a Shape<'a>,
        host: &'a Host,
        module: &'a Module<'a>,
        plan: &Plan<'a>,
    ) -> Result<Self, String> {
        let image = ModuleImage::build(module, plan).map_err(|err| err.to_string())?;
        let artifact = image.encode().map_err(|err| err.to_string())?;
        Ok(Self {
            shape,
            host,
            module,
            plan: plan.clone(),
            image,
            artifact,
        })
    }

    /// Whether an image contains a host page of zeros.
    pub(crate) fn stores_zero_page(&self) -> bool {
        let page = vec![0; to_usize(self.image.page_size().bytes())];
        let n_memories = u32::try_from(self.shape.memories.len()).expect("few");
        (0..n_memories)
            .filter_map(|nth| self.image.image(MemoryIndex::from_u32(nth)))
            .any(|it| it.bytes().chunks(page.len()).any(|it| it == page))
    }

    /// Returns the memories of the host before anything is written.
    pub(crate) fn memories(&self) -> Vec<Memory> {
        memories(self.shape, self.host)
    }

    /// Runs the initialisation of a deserialised plan, which is serialised and deserialised too.
    fn run_read(
        &self,
        plan: &Plan<'_>,
        pass: impl Fn(
            &MemoryInitialization<'_>,
            &dyn Fn(&MemoryInitialization<'_>) -> Result<Outcome, String>,
        ) -> Result<Outcome, String>,
    ) -> Result<Option<Outcome>, String> {
        if !plan.matches(self.module) || plan.assumptions() != self.plan.assumptions() {
            return Err("the deserialised plan differs".into());
        }
        let image = ModuleImage::build(self.module, plan).map_err(|err| err.to_string())?;
        pass(&image.initialization(), &|init| self.run(init)).map(Some)
    }

    fn run(&self, initialization: &MemoryInitialization<'_>) -> Result<Outcome, String> {
        instantiate(self.shape, self.host, self.module, initialization)
    }
}

/// A policy, and its name in messages.
pub(crate) struct NamedPolicy {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) assume_zeroed_imports: bool,
    /// Whether the policy bakes everything that can be baked, up to a size.
    pub(crate) bakes_all: bool,
    /// Whether an image may contain pages of zeros.
    pub(crate) stores_zero_pages: bool,
}

/// A preset for a page size, its name, and whether it bakes everything.
type Preset = (&'static str, fn(HostPageSize) -> Policy, bool);

const PRESETS: &[Preset] = &[
    ("reference", Policy::reference, false),
    // It rejects images above 1 GiB, which no input here has.
    ("balanced", Policy::balanced, true),
    ("smallest", Policy::smallest, true),
    // Extreme settings, for small modules.
    (
        "two runs",
        // Joining across the gaps of a giant memory would make an image of that size.
        |it| {
            Policy::smallest(it)
                .with_max_runs(2)
                .with_max_image_size(16 << 20)
        },
        true,
    ),
    (
        "gap of a page",
        |it| Policy::smallest(it).with_max_gap(it.bytes()),
        true,
    ),
    (
        "three pages",
        |it| Policy::balanced(it).with_max_image_size(3 * it.bytes()),
        false,
    ),
];

/// Returns all combinations of presets and page sizes; for `large` modules, only the presets,
/// with two page sizes.
pub(crate) fn policies(large: bool) -> Vec<NamedPolicy> {
    let (n_presets, page_sizes): (usize, &[u64]) = if large {
        (3, &[4 << 10, 64 << 10])
    } else {
        (PRESETS.len(), &[4 << 10, 16 << 10, 64 << 10])
    };
    let mut policies = Vec::new();
    for bytes in page_sizes {
        let page_size = HostPageSize::new(*bytes).expect("a power of two");
        for (name, preset, bakes_all) in &PRESETS[..n_presets] {
            for assume_zeroed_imports in [false, true] {
                let promise = if assume_zeroed_imports {
                    ", zeroed imports"
                } else {
                    ""
                };
                policies.push(NamedPolicy {
                    name: format!("{name}, pages of {} KiB{promise}", bytes >> 10),
                    policy: preset(page_size).with_zeroed_imports(assume_zeroed_imports),
                    assume_zeroed_imports,
                    bakes_all: *bakes_all,
                    stores_zero_pages: *name != "smallest",
                });
            }
        }
    }
    policies
}
