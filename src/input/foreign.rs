//! Recognises files of other formats by their first bytes, and says what to do with them.

use super::source::Source;
use crate::text::shell;

/// Returns what a file is and what helps, as a cause and a hint, if its format is known.
pub(super) fn recognise(first: &[u8], source: Source<'_>) -> Option<String> {
    let (what, advice) = format(first)?;
    let hint = match advice {
        Advice::Decompress(command) => decompress(command, source),
        Advice::Do(text) => text.to_owned(),
        Advice::List => match name(source) {
            Some(name) => format!("unpack the module from it: unzip -l {name}"),
            None => "unpack the module from it".to_owned(),
        },
    };
    Some(format!("this is {what}\nhint: {hint}"))
}

/// What helps with a file of another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    /// Decompress it with this command.
    Decompress(&'static str),
    /// Unpack a ZIP archive.
    List,
    Do(&'static str),
}

const SOURCE_OF_IT: Advice = Advice::Do(
    "pass the WebAssembly module that it was compiled from, or compile for a wasm target, such \
     as wasm32-wasip1",
);
const DOWNLOAD: Advice =
    Advice::Do("a download may have failed and saved a message instead: look at the file");

/// The first bytes of formats, what they are, and what helps.
const MAGIC: &[(&[u8], &str, Advice)] = &[
    (b"\x1f\x8b", "gzip data", Advice::Decompress("gzip")),
    (b"\x28\xb5\x2f\xfd", "zstd data", Advice::Decompress("zstd")),
    (b"\xfd7zXZ\0", "xz data", Advice::Decompress("xz")),
    (b"BZh", "bzip2 data", Advice::Decompress("bzip2")),
    (b"\x04\x22\x4d\x18", "lz4 data", Advice::Decompress("lz4")),
    (b"PK\x03\x04", "a ZIP archive", Advice::List),
    (b"PK\x05\x06", "an empty ZIP archive", Advice::List),
    // Also what `wasmtime compile` writes.
    (b"\x7fELF", "an ELF file with machine code", SOURCE_OF_IT),
    (
        b"\xce\xfa\xed\xfe",
        "a Mach-O file with machine code",
        SOURCE_OF_IT,
    ),
    (
        b"\xcf\xfa\xed\xfe",
        "a Mach-O file with machine code",
        SOURCE_OF_IT,
    ),
    (
        b"\xfe\xed\xfa\xce",
        "a Mach-O file with machine code",
        SOURCE_OF_IT,
    ),
    (
        b"\xfe\xed\xfa\xcf",
        "a Mach-O file with machine code",
        SOURCE_OF_IT,
    ),
    (
        b"MZ",
        "a Windows executable with machine code",
        SOURCE_OF_IT,
    ),
    (
        b"!<arch>\n",
        "a static library",
        Advice::Do("link it into a module first"),
    ),
    (
        b"BC\xc0\xde",
        "LLVM bitcode",
        Advice::Do("compile and link it for a wasm target first"),
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the file itself",
        Advice::Do("git lfs pull"),
    ),
    (
        b"#!",
        "a script",
        Advice::Do("pass the module that it runs"),
    ),
];

/// Where a tar archive has its magic bytes.
const TAR: (usize, &[u8]) = (257, b"ustar");

fn format(first: &[u8]) -> Option<(&'static str, Advice)> {
    let begins = |magic: &[u8]| first.starts_with(magic);
    if let Some((_, what, advice)) = MAGIC.iter().find(|it| begins(it.0)) {
        return Some((what, *advice));
    }
    if is_fat_mach_o(first) {
        return Some(("a Mach-O file with machine code", SOURCE_OF_IT));
    }
    if begins(b"\xca\xfe\xba\xbe") {
        return Some(("a Java class", SOURCE_OF_IT));
    }
    if first.get(TAR.0..).is_some_and(|it| it.starts_with(TAR.1)) {
        return Some((
            "a tar archive",
            Advice::Do("unpack the module from it with tar -xf"),
        ));
    }
    text_format(first).map(|what| (what, DOWNLOAD))
}

/// A universal binary has a small number of architectures where a Java class has its version,
/// 45 or more.
fn is_fat_mach_o(first: &[u8]) -> bool {
    first.starts_with(b"\xca\xfe\xba\xbe\0\0\0") && first.get(7).is_some_and(|n| *n < 40)
}

/// Recognises the formats in which servers send error messages.
fn text_format(first: &[u8]) -> Option<&'static str> {
    let text = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    let text = text.trim_ascii_start();
    let begins = |word: &str| {
        let start = text.get(..word.len());
        start.is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
    };
    if ["<!doctype html", "<html", "<head", "<body"]
        .into_iter()
        .any(begins)
    {
        return Some("an HTML page");
    }
    if begins("<?xml") {
        return Some("an XML document");
    }
    // After the first character of an object or a list, JSON has few possibilities.
    let rest = text.get(1..).unwrap_or(&[]).trim_ascii_start();
    let is_json = match text.first() {
        Some(b'{') => matches!(rest.first(), Some(b'"' | b'}')),
        Some(b'[') => rest
            .first()
            .is_some_and(|it| b"[{\"]-0123456789tfn".contains(it)),
        _ => false,
    };
    is_json.then_some("a JSON document")
}

/// Returns the name of the file as a word of a shell; `None` for stdin.
fn name(source: Source<'_>) -> Option<String> {
    if source.is_stdin() {
        return None;
    }
    shell::quote(source.0.to_str()?)
}

fn decompress(command: &str, source: Source<'_>) -> String {
    match (name(source), output_name(source)) {
        (Some(name), Some(output)) => {
            format!("decompress it first: {command} -dc {name} > {output}")
        }
        _ => format!("decompress it first: pipe it through {command} -dc"),
    }
}

/// Returns a name for the decompressed file: without the last extension, if it has one.
fn output_name(source: Source<'_>) -> Option<String> {
    let stem = source.0.file_stem()?.to_str()?;
    let name = match stem.ends_with(".wasm") || stem.ends_with(".wat") {
        true => stem.to_owned(),
        false => format!("{stem}.wasm"),
    };
    if Some(name.as_str()) == source.0.file_name()?.to_str() {
        return shell::quote(&format!("{stem}-decompressed.wasm"));
    }
    shell::quote(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &[u8], expected: Option<&str>) {
        assert_eq!(format(first).map(|it| it.0), expected, "{first:?}");
    }

    #[test]
    fn formats_are_recognised() {
        check(
            b"\xca\xfe\xba\xbe\0\0\0\x02",
            Some("a Mach-O file with machine code"),
        );
        check(b"\xca\xfe\xba\xbe\0\0\0\x41", Some("a Java class"));
        check(b"\n <!DOCTYPE HTML><title>404", Some("an HTML page"));
        check(b"\xef\xbb\xbf<html>", Some("an HTML page"));
        check(b"{ \"message\": \"Not Found\" }", Some("a JSON document"));
        check(b"[\n]", Some("a JSON document"));
        let mut tar = [b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        check(&tar, Some("a tar archive"));
        for noise in [&b"hello"[..], b"{x", b"[", b"{", b"\0\0\0\0", b"P", b""] {
            check(noise, None);
        }
    }

    #[test]
    fn names_are_quoted() {
        let recognised = |name: &str| {
            let source = Source(std::path::Path::new(name));
            recognise(b"\x1f\x8b\x08", source).expect("gzip")
        };
        let line = |hint| format!("this is gzip data\nhint: {hint}");
        let hint = "decompress it first: gzip -dc 'a b.wasm.gz' > 'a b.wasm'";
        assert_eq!(recognised("a b.wasm.gz"), line(hint));
        let hint = "decompress it first: gzip -dc x.wasm > x-decompressed.wasm";
        assert_eq!(recognised("x.wasm"), line(hint));
        let hint = "decompress it first: gzip -dc d/x.tgz > x.wasm";
        assert_eq!(recognised("d/x.tgz"), line(hint));
        let hint = "decompress it first: pipe it through gzip -dc";
        assert_eq!(recognised("-"), line(hint));
    }
}
