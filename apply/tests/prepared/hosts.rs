//! An artifact is accepted only by a host that provides what it was built for.

use wasm_meminit_analysis::{
    Assumption, GlobalIndex, MemoryIndex, Module, Plan, Policy, StartFunction, Value,
};
use wasm_meminit_apply::{Host, HostHas, InstantiateError, PrepareError, PreparedModule};
use wasm_meminit_image_builder::{Artifact, ModuleImage};

use super::{right_host, slot};

const SIDE: &str = r#"(module
    (import "env" "memory" (memory 1))
    (import "env" "__memory_base" (global $base i32))
    (import "env" "unused" (global $unused i32))
    (data (global.get $base) "side"))"#;

const BASE: i32 = 1 << 20;

fn build(module: &Module<'_>, policy: &Policy) -> Vec<u8> {
    let plan = Plan::new(module, policy);
    assert!(plan.replay().is_empty());
    let image = ModuleImage::build(module, &plan).expect("small");
    image.encode().expect("small")
}

/// Builds the artifact of a side module at 1 MiB in a fresh memory of 2 MiB.
fn side() -> Vec<u8> {
    let wasm = wat::parse_str(SIDE).expect("valid");
    let module = Module::parse(&wasm).expect("valid");
    let build_with_global = |module: Module<'_>, global, value| -> Vec<u8> {
        let module = module
            .with_global(GlobalIndex::from_u32(0), Value::I32(BASE))
            .and_then(|it| it.with_global(GlobalIndex::from_u32(global), value))
            .expect("imported")
            .with_memory_size(MemoryIndex::from_u32(0), 2 << 20)
            .expect("imported");
        build(&module, &Policy::default().with_zeroed_imports(true))
    };
    build_with_global(module, 1, Value::I32(7))
}

#[track_caller]
fn refused(artifact: &Artifact<'_>, host: &Host) -> (Assumption, HostHas, String) {
    let err = PreparedModule::for_host(artifact, host).expect_err("another host");
    let text = err.to_string();
    match err {
        PrepareError::Assumption { assumed, found } => (assumed, found, text),
        _ => panic!("{text}"),
    }
}

#[test]
fn a_host_with_another_value_of_a_global_is_refused() {
    let bytes = side();
    let artifact = Artifact::decode(&bytes).expect("own");
    let host = Host::new().with_fresh_memory("env", "memory", 2 << 20);
    let at = |base| {
        host.clone()
            .with_global("env", "__memory_base", Value::I32(base))
    };
    PreparedModule::for_host(&artifact, &at(BASE)).expect("as it was built");

    let (assumed, found, text) = refused(&artifact, &at(0));
    assert!(matches!(
        &assumed,
        Assumption::GlobalValue { name, value: Value::I32(BASE), .. } if name == "__memory_base"
    ));
    assert_eq!(found, HostHas::Value(Value::I32(0)));
    for part in ["__memory_base", "1048576", "host has 0", "\nhint: "] {
        assert!(text.contains(part), "{text}");
    }
    // Nor one that declares nothing, or a value of another type or import.
    for host in [
        host.clone(),
        host.clone()
            .with_global("env", "memory_base", Value::I32(BASE)),
        host.clone()
            .with_global("other", "__memory_base", Value::I32(BASE)),
    ] {
        assert_eq!(refused(&artifact, &host).1, HostHas::Unstated);
    }
    let wide = host.with_global("env", "__memory_base", Value::I64(BASE.into()));
    assert_eq!(
        refused(&artifact, &wide).1,
        HostHas::Value(Value::I64(BASE.into()))
    );
    assert!(PreparedModule::new(&artifact).is_err());
    let made = PreparedModule::with_images(&artifact, &Host::new(), |_, _| unreachable!("refused"));
    assert!(made.is_err());
}

#[test]
fn a_host_without_a_fresh_memory_is_refused() {
    let bytes = side();
    let artifact = Artifact::decode(&bytes).expect("own");
    let host = Host::new().with_global("env", "__memory_base", Value::I32(BASE));
    let used = host.clone().with_memory("env", "memory", 2 << 20);
    let (assumed, found, _) = refused(&artifact, &used);
    assert!(
        matches!(assumed, Assumption::ZeroedMemory { .. }),
        "{assumed}"
    );
    assert_eq!(found, HostHas::Memory { bytes: 2 << 20 });

    let small = host.with_fresh_memory("env", "memory", (2 << 20) - 1);
    let (assumed, found, text) = refused(&artifact, &small);
    assert!(
        matches!(assumed, Assumption::MemorySize { .. }),
        "{assumed}"
    );
    assert_eq!(
        found,
        HostHas::FreshMemory {
            bytes: (2 << 20) - 1
        }
    );
    assert!(
        text.contains("2097152") && text.contains("2097151"),
        "{text}"
    );
}

/// The same module may be instantiated at several bases; only one is right.
#[test]
fn an_instance_with_another_value_is_refused() {
    let bytes = side();
    let artifact = Artifact::decode(&bytes).expect("own");
    let module = PreparedModule::for_host(&artifact, &right_host(&artifact)).expect("right");
    let mut memory = vec![0; 2 << 20];
    let base = |base| move |global: GlobalIndex| (global.as_u32() == 0).then_some(Value::I32(base));
    let other = module.instantiate(&mut [memory.as_mut_slice().into()], &base(BASE + 4096));
    let expected = InstantiateError::AssumedGlobal {
        global: GlobalIndex::from_u32(0),
        assumed: Value::I32(BASE),
        found: Value::I32(BASE + 4096),
    };
    assert_eq!(other, Err(expected));
    assert_eq!(
        expected.to_string(),
        "global 0 is 1052672, but the images were built for 1048576"
    );
    assert!(memory.iter().all(|byte| *byte == 0));
    let same = module.instantiate(&mut [memory.as_mut_slice().into()], &base(BASE));
    assert_eq!(same, Ok(()));
    assert_eq!(memory[1 << 20..][..4], *b"side");

    // A memory of the declared size would be too small for the image.
    let mut small = vec![0; 1 << 16];
    let small = module.instantiate(&mut [small.as_mut_slice().into()], &base(BASE));
    assert!(matches!(small, Err(InstantiateError::TooSmall { .. })));
}

#[test]
fn a_start_function_must_be_treated_as_the_artifact_assumes() {
    let text = include_str!("../../../tests/modules/threads.wat");
    let wasm = wat::parse_str(text).expect("valid");
    let module = Module::parse(&wasm).expect("valid");
    let host = Host::new().with_fresh_memory("env", "memory", 2 << 16);
    for treatment in [
        StartFunction::AlreadyInitializedTls,
        StartFunction::WritesStripped,
    ] {
        let policy = Policy::default()
            .with_zeroed_imports(true)
            .with_start_function(treatment);
        let bytes = build(&module, &policy);
        let artifact = Artifact::decode(&bytes).expect("own");
        assert!(artifact.start().is_some());
        let same = host.clone().with_start_function(treatment);
        PreparedModule::for_host(&artifact, &same).expect("the same");
        let other = host.clone().with_start_function(StartFunction::Unchanged);
        assert_eq!(
            refused(&artifact, &other).1,
            HostHas::StartFunction(StartFunction::Unchanged)
        );
        // Only one of them needs a promise.
        let needs = treatment == StartFunction::AlreadyInitializedTls;
        assert_eq!(PreparedModule::for_host(&artifact, &host).is_err(), needs);
    }
}

/// Nothing is requested that the artifact does not depend on.
#[test]
fn an_artifact_without_assumptions_fits_any_host() {
    let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 1) "x"))"#).expect("valid");
    let bytes = build(&Module::parse(&wasm).expect("valid"), &Policy::default());
    let artifact = Artifact::decode(&bytes).expect("own");
    assert_eq!(artifact.assumptions().count(), 0);
    let module = PreparedModule::new(&artifact).expect("any host");
    let mut slot = slot();
    module
        .instantiate(&mut [(&mut slot).into()], &|_| None)
        .expect("nothing to ask");
}
