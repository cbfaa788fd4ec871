//! Checks the table of fields in `docs/artifact.md`: it covers the artifact of `tour.wasm`
//! without a gap, up to the end of its header, and shows its bytes.

use std::fs;

use wasm_meminit::analysis::MemoryIndex;
use wasm_meminit::image_builder::Artifact;
use wasm_meminit::{Module, Policy};

use crate::{page, root, table};

#[test]
fn fields_are_those_of_the_file() {
    let wasm = fs::read(root().join("tests/modules/tour.wasm")).expect("a module");
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("tour.meminit");
    // The tool, since the library does not name a program and its version.
    let mut tool = std::process::Command::new(env!("CARGO_BIN_EXE_wasm-meminit"));
    tool.arg("build")
        .arg(root().join("tests/modules/tour.wasm"));
    let status = tool.arg("-o").arg(&output).output().expect("the tool runs");
    assert!(status.status.success());
    let file = fs::read(&output).expect("an artifact");

    let text = page("docs/artifact.md");
    let mut end = 0;
    for row in table(&text, "offset") {
        let [offset, size, bytes, ..] = row.as_slice() else {
            panic!("{row:?}");
        };
        let offset = usize::from_str_radix(offset.trim_start_matches("0x"), 16);
        assert_eq!(offset, Ok(end), "{row:?}");
        let size: usize = size.replace(',', "").parse().expect("a size");
        let field = &file[end..end + size];
        let shown = bytes.trim_matches('`');
        let (shown, is_cut) = match shown.strip_suffix(" …") {
            Some(shown) => (shown, true),
            None => (shown, false),
        };
        let hex: Vec<String> = field.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.join(" ");
        let is_shown = if is_cut {
            hex.starts_with(shown)
        } else {
            hex == shown
        };
        assert!(is_shown, "{row:?}: {hex}");
        end += size;
    }
    let header_len = u32::from_le_bytes(file[12..16].try_into().expect("4 bytes"));
    assert_eq!(
        end,
        24 + header_len as usize,
        "the table ends with the header"
    );

    // What the page says about the payload.
    let artifact = Artifact::decode(&file).expect("valid");
    let image = artifact.image(MemoryIndex::from_u32(0));
    let runs = image.expect("one memory").layout();
    let rows = table(&text, "file offset");
    assert_eq!(rows.len(), runs.len());
    let mut at = 0x1000;
    for (run, row) in runs.iter().zip(rows) {
        let row: Vec<&str> = row.iter().map(|it| it.trim_matches('`')).collect();
        let expected = [
            format!("{at:#x}"),
            format!("{:#x}", run.addr),
            format!("{:#x}", run.len),
        ];
        assert_eq!(row[..3], expected);
        at += run.len;
    }
    assert_eq!(file.len() as u64, at);

    // The same bytes as with the library, except for what the tool adds.
    let library = wasm_meminit::build(&Module::parse(&wasm).expect("valid"), &Policy::default());
    let library = library.expect("built");
    assert_eq!(
        library[library.len() - 0x4000..],
        file[file.len() - 0x4000..]
    );
}
