//! Detects object files: modules that a linker has yet to relocate.
//!
//! Their data segments are at addresses that the linker will change, and hold zeros where it
//! will write addresses. Custom sections mark them (tool conventions, "Linking"): `linking`,
//! and a `reloc.*` for each section with relocations.

/// What the custom sections of a module say about relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relocation<'a> {
    /// Nothing: the module is linked.
    None,
    /// It imports the memory that only object files import: its data is not in place yet.
    Object,
    /// It is linked, but a section kept by `--emit-relocs` still refers to its parts.
    Kept(&'a str),
}

/// The memory that every object file with data imports, as module and name.
const OBJECT_MEMORY: (&str, &str) = ("env", "__linear_memory");

/// Classifies a core module in the binary format by its custom sections.
pub(crate) fn relocation<'a>(
    module: &wasm_meminit::analysis::Module<'_>,
    binary: &'a [u8],
) -> Relocation<'a> {
    let Some(section) = custom_sections(binary).find(|it| is_relocation(it)) else {
        return Relocation::None;
    };
    let imports = module.memories().values().filter_map(|it| it.import);
    let mut imports = imports.map(|it| (it.module, it.name));
    if imports.any(|it| it == OBJECT_MEMORY) {
        Relocation::Object
    } else {
        Relocation::Kept(section)
    }
}

fn is_relocation(name: &str) -> bool {
    name == "linking" || name.starts_with("reloc.")
}

/// Returns the names of the custom sections, up to the first malformed section.
fn custom_sections(binary: &[u8]) -> impl Iterator<Item = &str> {
    let mut rest = binary.get(8..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        loop {
            let (&id, after) = rest.split_first()?;
            let (len, after) = leb128(after)?;
            let (content, after) = after.split_at_checked(len)?;
            rest = after;
            if id == 0 {
                let (len, name) = leb128(content)?;
                return core::str::from_utf8(name.get(..len)?).ok();
            }
        }
    })
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (nth, &byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(nth + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use wasm_meminit::analysis::Module;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Relocation<'_>) {
        let wasm = wat::parse_str(text).expect("a module");
        let module = Module::parse(&wasm).expect("a module");
        assert_eq!(relocation(&module, &wasm), expected);
    }

    #[test]
    fn object_files_are_distinguished_from_linked_modules() {
        let memory = r#"(import "env" "__linear_memory" (memory 1))"#;
        check(&format!("(module {memory})"), Relocation::None);
        let linking = format!(r#"(module {memory} (@custom "linking" "\02"))"#);
        check(&linking, Relocation::Object);
        let kept = r#"(module (memory 1) (@custom "producers" "x") (@custom "reloc.DATA" "x"))"#;
        check(kept, Relocation::Kept("reloc.DATA"));
        check(r#"(module (@custom "relocate" "x"))"#, Relocation::None);
    }
}
