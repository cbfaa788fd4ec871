//! Each `tests/modules/*.wasm` is what its `.wat` compiles to. `BLESS=1` compiles them anew.

use std::path::Path;
use std::{env, fs};

#[test]
fn binaries_match_their_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules");
    let mut n_sources = 0;
    for entry in fs::read_dir(&folder).expect("the folder") {
        let source = entry.expect("an entry").path();
        if source.extension().is_none_or(|it| it != "wat") {
            continue;
        }
        n_sources += 1;
        let wasm = wat::parse_file(&source).unwrap_or_else(|err| panic!("{err}"));
        let target = source.with_extension("wasm");
        if env::var_os("BLESS").is_some() {
            fs::write(&target, &wasm).expect("written");
        }
        let there = fs::read(&target).unwrap_or_default();
        assert!(
            there == wasm,
            "{}: does not match its source; run `BLESS=1 cargo xtask test modules`",
            target.display()
        );
    }
    assert_ne!(n_sources, 0, "no .wat in {}", folder.display());
}
