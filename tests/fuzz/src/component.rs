//! Components, written and read byte by byte: shares no code with what is tested.

/// Ids of sections that contain a core module or a component (component model, "Binary Format").
pub(crate) const MODULE: u8 = 1;
pub(crate) const COMPONENT: u8 = 4;

const PREAMBLE: &[u8; 8] = b"\0asm\x0d\0\x01\0";

/// Returns a component with these sections: an id, and the contents.
pub(crate) fn component(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = PREAMBLE.to_vec();
    for (id, contents) in sections {
        bytes.push(*id);
        wasm_encoder::Encode::encode(*contents, &mut bytes);
    }
    bytes
}

/// Whether the bytes begin as a component, not as a core module.
pub(crate) fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(PREAMBLE)
}

/// Returns the core modules of a valid component, and what remains of it without their contents
/// and without the lengths of sections that contain others.
pub(crate) fn parts(wasm: &[u8]) -> (Vec<&[u8]>, Vec<u8>) {
    let (mut modules, mut rest) = (Vec::new(), Vec::new());
    read(wasm, &mut modules, &mut rest);
    (modules, rest)
}

fn read<'a>(wasm: &'a [u8], modules: &mut Vec<&'a [u8]>, rest: &mut Vec<u8>) {
    rest.extend_from_slice(&wasm[..PREAMBLE.len()]);
    let mut at = PREAMBLE.len();
    while at < wasm.len() {
        let mut reader = wasmparser::BinaryReader::new(&wasm[at + 1..], 0);
        let len = reader.read_var_u32().expect("valid");
        let start = at + 1 + reader.current_position();
        let end = start + usize::try_from(len).expect("32 bits");
        match wasm[at] {
            MODULE => {
                modules.push(&wasm[start..end]);
                rest.push(MODULE);
            }
            COMPONENT => {
                rest.push(COMPONENT);
                read(&wasm[start..end], modules, rest);
                // So that what follows is not taken for a part of it.
                rest.push(u8::MAX);
            }
            _ => rest.extend_from_slice(&wasm[at..end]),
        }
        at = end;
    }
}

/// Returns the module itself and, if it is a core module, components that contain it.
pub(crate) fn seeds(wasm: &[u8]) -> Vec<Vec<u8>> {
    if is_component(wasm) {
        return vec![wasm.to_vec()];
    }
    let once = component(&[(MODULE, wasm)]);
    let thrice = component(&[(COMPONENT, &once), (MODULE, wasm), (COMPONENT, &once)]);
    vec![wasm.to_vec(), once, thrice]
}
