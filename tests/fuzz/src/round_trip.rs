//! Artifacts of generated modules, under any policy and for any knowledge about the host.

use arbitrary::{Result, Unstructured};
use wasm_meminit_analysis::{
    GlobalIndex, HostPageSize, MemoryIndex, MemoryInitializer, Module, Plan, Value,
};
use wasm_meminit_image_builder::verify::verify;
use wasm_meminit_image_builder::{Artifact, ModuleImage, SourceHash, Tool};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::instance::{values, with_imported_globals};
use wasm_meminit_test_oracle::shape::Shape;

use crate::{artifact, generate};

/// Returns whether the artifact has an image.
pub(crate) fn run(bytes: &[u8]) -> bool {
    from(&mut Unstructured::new(bytes)).unwrap_or(false)
}

fn from(u: &mut Unstructured<'_>) -> Result<bool> {
    let policy = generate::policy(u)?;
    let [knows_globals, knows_sizes, is_described] = u.arbitrary()?;
    let alignment = HostPageSize::new(1 << u.int_in_range(0..=17)?).expect("a power of two");
    let (wasm, host) = generate::module(u)?;
    let shape = Shape::of(&wasm);
    let mut module = Module::parse(&wasm).expect("valid");
    if knows_globals {
        module = with_imported_globals(&module, &shape, &host).expect("of the right types");
    }
    if knows_sizes {
        module = with_sizes(module, &shape, &host);
    }
    let plan = Plan::new(&module, &policy);
    check_serialized(&module, &plan);
    let mut image = ModuleImage::build(&module, &plan).expect("within the policy's limit");
    let hash = SourceHash([7; 32]);
    if is_described {
        image = image
            .with_source(hash)
            .with_stripped(SourceHash([8; 32]))
            .with_tool(Tool {
                name: "fuzz",
                version: "0",
            })
            .with_file_alignment(alignment);
    }
    let bytes = image.encode().expect("small");
    assert!(
        image.encode().as_ref() == Ok(&bytes),
        "the same bytes each time"
    );
    artifact::both(&bytes).expect("what was encoded is accepted");
    let artifact = Artifact::decode(&bytes).expect("what was encoded is decoded");
    let globals = values(&module, &shape.global_values(&host, true));
    let global = |it: GlobalIndex| *globals.get(usize::try_from(it.as_u32()).ok()?)?;
    check_same(&image, &plan, &artifact, &global);
    let verified = verify(module, hash, &artifact);
    assert!(verified.is_ok(), "{verified:?}");
    let memories = plan.memories().values();
    Ok(memories.map(|it| it.image_bytes()).sum::<u64>() != 0)
}

fn with_sizes<'a>(mut module: Module<'a>, shape: &Shape<'_>, host: &Host) -> Module<'a> {
    for nth in 0..shape.n_imported_memories {
        let Some(bytes) = host.memory_bytes(shape, nth) else {
            continue;
        };
        let memory = MemoryIndex::from_u32(u32::try_from(nth).expect("few"));
        module = module
            .with_memory_size(memory, bytes)
            .expect("a size that its type allows");
    }
    module
}

/// The decoded artifact has what the plan and the image have.
fn check_same(
    image: &ModuleImage<'_>,
    plan: &Plan<'_>,
    artifact: &Artifact<'_>,
    globals: &dyn Fn(GlobalIndex) -> Option<Value>,
) {
    assert_eq!(artifact.policy(), *plan.policy());
    assert_eq!(artifact.page_size(), plan.page_size());
    assert!(
        artifact
            .assumptions()
            .eq(plan.assumptions().iter().cloned())
    );
    let segment = |it: MemoryInitializer<'_>| (it.memory_index, it.segment, it.data.into_owned());
    let planned = plan.replay().iter().cloned().map(segment);
    assert!(
        artifact.replay().map(segment).eq(planned),
        "the replayed segments"
    );
    // Offsets may have the values of globals instead of the globals.
    for (decoded, planned) in artifact.replay().zip(plan.replay()) {
        let index_type = plan.memories()[planned.memory_index].ty().index_type;
        let [decoded, planned] =
            [&decoded.offset, &planned.offset].map(|it| it.eval(index_type, globals));
        assert_eq!(decoded, planned);
    }
    assert_eq!(artifact.memories().len(), plan.memories().len());
    assert_eq!(artifact.start(), image.start());
    for (memory, planned) in plan.memories() {
        let decoded = artifact.image(memory).expect("listed");
        assert_eq!(decoded.layout(), planned.runs());
        let built = image.image(memory).expect("built");
        assert!(decoded.runs().eq(built.runs()), "memory {memory:?}");
    }
    let unverified = Artifact::decode_unverified(&artifact_bytes(image)).map(drop);
    assert_eq!(unverified, Ok(()));
}

fn artifact_bytes(image: &ModuleImage<'_>) -> Vec<u8> {
    let parts = image.encode_parts().expect("small");
    let mut bytes = parts.head().to_vec();
    parts
        .payload()
        .iter()
        .for_each(|it| bytes.extend_from_slice(it));
    bytes
}

/// A plan survives serialisation.
fn check_serialized(module: &Module<'_>, plan: &Plan<'_>) {
    let bytes = postcard::to_allocvec(plan).expect("serialises");
    let again: Plan<'_> = postcard::from_bytes(&bytes).expect("just serialised");
    assert!(again.matches(module));
    assert!(postcard::to_allocvec(&again).as_ref() == Ok(&bytes));
}
