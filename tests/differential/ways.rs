//! Every way in which this project brings memories to their first state.
//!
//! A new way is one line in [`WAYS`]. A way is given the module and the host, never
//! what is expected.

use wasm_meminit_analysis::{
    HostPageSize, MemoryIndex, MemoryInitialization, Module, Plan, Policy,
};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use crate::host::Host;
use crate::instance::{instantiate, memories};
use crate::memory::{Memory, Outcome, to_usize};
use crate::real::{self, Source};
use crate::shape::Shape;

/// A way to initialise memories.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// It is taken for one plan of so many.
    pub(crate) every: u64,
    /// What it leaves; `None` where the memories are too large for it.
    pub(crate) run: fn(&Subject<'_>) -> Result<Option<Outcome>, String>,
}

const fn way(name: &'static str, run: fn(&Subject<'_>) -> Result<Option<Outcome>, String>) -> Way {
    Way {
        name,
        every: 1,
        run,
    }
}

/// Through a format. Each module has dozens of plans, and so meets it some times under
/// other policies than the next module.
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
            return Err("the artifact is wrong about element segments".into());
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

/// JSON has four characters for a byte; larger ones are tried once, by `tests/serialized`.
const MAX_JSON_BYTES: usize = 24 << 10;

/// What a way starts from.
pub(crate) struct Subject<'a> {
    pub(crate) shape: &'a Shape<'a>,
    pub(crate) host: &'a Host,
    pub(crate) module: &'a Module<'a>,
    pub(crate) plan: Plan<'a>,
    pub(crate) image: ModuleImage<'a>,
    pub(crate) artifact: Vec<u8>,
}

impl<'a> Subject<'a> {
    /// Builds and encodes. `module` knows the globals that it may know ahead of time.
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

    /// Whether an image holds a host page of zeros.
    pub(crate) fn stores_zero_page(&self) -> bool {
        let page = vec![0; to_usize(self.image.page_size().bytes())];
        let n_memories = u32::try_from(self.shape.memories.len()).expect("few");
        (0..n_memories)
            .filter_map(|nth| self.image.image(MemoryIndex::from_u32(nth)))
            .any(|it| it.bytes().chunks(page.len()).any(|it| it == page))
    }

    /// The memories of the host before anything was written.
    pub(crate) fn memories(&self) -> Vec<Memory> {
        memories(self.shape, self.host)
    }

    /// Runs what a plan that was read back gives, itself passed through a format.
    fn run_read(
        &self,
        plan: &Plan<'_>,
        pass: impl Fn(
            &MemoryInitialization<'_>,
            &dyn Fn(&MemoryInitialization<'_>) -> Result<Outcome, String>,
        ) -> Result<Outcome, String>,
    ) -> Result<Option<Outcome>, String> {
        if !plan.matches(self.module) || plan.assumptions() != self.plan.assumptions() {
            return Err("the plan that was read back is another one".into());
        }
        let image = ModuleImage::build(self.module, plan).map_err(|err| err.to_string())?;
        pass(&image.initialization(), &|init| self.run(init)).map(Some)
    }

    fn run(&self, initialization: &MemoryInitialization<'_>) -> Result<Outcome, String> {
        instantiate(self.shape, self.host, self.module, initialization)
    }
}

/// A policy and what a failure calls it.
pub(crate) struct NamedPolicy {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) assume_zeroed_imports: bool,
    /// Whether the policy bakes everything that can be baked, up to a size.
    pub(crate) bakes_all: bool,
    /// Whether an image may hold pages of zeros.
    pub(crate) stores_zero_pages: bool,
}

/// A preset for a page size, what it is called, and whether it bakes everything.
type Preset = (&'static str, fn(HostPageSize) -> Policy, bool);

const PRESETS: &[Preset] = &[
    ("reference", Policy::reference, false),
    // It refuses images above 1 GiB, which no input here has.
    ("balanced", Policy::balanced, true),
    ("smallest", Policy::smallest, true),
    // Edges of the knobs, for small modules.
    (
        "two runs",
        // Joined across the gaps of a giant memory, an image would be as large.
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

/// Presets and page sizes in all combinations; for `large` modules the presets alone,
/// for two page sizes.
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
                    policy: preset(page_size).assume_zeroed_imports(assume_zeroed_imports),
                    assume_zeroed_imports,
                    bakes_all: *bakes_all,
                    stores_zero_pages: *name != "smallest",
                });
            }
        }
    }
    policies
}
