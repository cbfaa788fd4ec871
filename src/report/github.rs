//! Annotations for GitHub Actions: `::error file=…,title=…::…` on stdout.
//!
//! The runner reads commands from the output, so text that is not ours is escaped by its rules
//! (`actions/toolkit`, `packages/core/src/command.ts`).

use crate::text::printable::printable;

/// Returns one annotation, with a newline at the end.
pub(crate) fn error(file: Option<&str>, title: &str, message: &str) -> String {
    let file = file.map(|it| format!("file={},", property(it)));
    let (file, title) = (file.unwrap_or_default(), property(title));
    format!("::error {file}title={title}::{}\n", data(message))
}

/// Returns a line that is not a command, whatever the text is.
pub(crate) fn line(file: &str, text: &str) -> String {
    // A command begins with two colons, or, in the old syntax, anywhere with `##[`.
    let text = format!("wasm-meminit: {file}: {text}").replace("##[", "## [");
    format!("{}\n", printable(&text))
}

/// Escapes the text after the second pair of colons. Only `%` and ends of lines have a meaning
/// there; other hidden characters are shown.
fn data(text: &str) -> String {
    let text = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    printable(&text).into_owned()
}

/// Escapes the value of a property, where colons and commas have a meaning too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_a_command_or_begin_one() {
        let file = "a,b:c%\r\n::error::x\u{1b}";
        let text = error(Some(file), "t", "100 %\n::set-output name=x::y");
        assert_eq!(
            text,
            "::error file=a%2Cb%3Ac%25%0D%0A%3A%3Aerror%3A%3Ax\\u{1b},title=t\
             ::100 %25%0A::set-output name=x::y\n"
        );
        assert_eq!(error(None, "t", "m"), "::error title=t::m\n");
        let text = line("::error::x\n##[add-mask]a", "fine");
        assert_eq!(text, "wasm-meminit: ::error::x\\n## [add-mask]a: fine\n");
    }
}
