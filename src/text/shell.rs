//! Quotes the words of a command to paste into a POSIX shell.
//!
//! Existing crates leave control characters as they are, or use `$'…'`, which dash does not
//! support. The command is shown on a terminal before it is pasted, so it must not contain
//! control characters.

use core::fmt::Write;

use crate::text::printable::is_hidden;

/// Returns a word that a POSIX shell expands to exactly this text, or `None` if there is none:
/// a command line cannot contain a NUL.
///
/// Characters that must not reach a terminal are written in octal, with `printf`. Command
/// substitution drops trailing newlines, so text that ends with one is refused too.
pub(crate) fn quote(text: &str) -> Option<String> {
    if text.contains('\0') || text.ends_with('\n') {
        return None;
    }
    if text.contains(is_hidden) {
        return Some(by_printf(text));
    }
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "%+,-./:=@_".contains(it);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Returns `"$(printf '…')"`, with `%`, `\` and hidden characters escaped in the format.
fn by_printf(text: &str) -> String {
    let mut word = String::from("\"$(printf '");
    for (nth, it) in text.chars().enumerate() {
        match it {
            // `printf` must not take it for an option.
            '-' if nth == 0 => word.push_str(r"\055"),
            '%' => word.push_str("%%"),
            '\\' => word.push_str(r"\\"),
            '\'' => word.push_str(r"\047"),
            it if is_hidden(it) => {
                for byte in it.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(word, "\\{byte:03o}"); // writing to a `String` never fails
                }
            }
            it => word.push(it),
        }
    }
    word.push_str("')\"");
    word
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Returns what a shell expands the word to.
    fn through_sh(word: &str) -> Vec<u8> {
        let script = format!("printf %s {word}");
        let output = Command::new("sh").args(["-c", &script]).output();
        let output = output.expect("a shell");
        assert!(output.status.success(), "{script:?}");
        output.stdout
    }

    #[track_caller]
    fn check(text: &str) {
        let word = quote(text).expect("a word");
        assert!(!word.contains(is_hidden), "{word:?}");
        assert_eq!(through_sh(&word), text.as_bytes(), "{word:?}");
    }

    #[test]
    fn shell_syntax_is_quoted() {
        for text in [
            "",
            "env.__memory_base=1024",
            "$(reboot)",
            "`reboot`",
            "a b",
            "it's",
            "\"",
            "\\",
            "~",
            "#7=1",
            "*",
            "-n",
            "a\nb",
            "\x1b[31m%d\\n'é'",
            "!!",
            "a\n\n=1",
            "\u{202e}%s",
            "é",
            "語",
        ] {
            check(text);
        }
        assert_eq!(quote("a\0b"), None);
        assert_eq!(
            quote("env.__memory_base=VALUE").as_deref(),
            Some("env.__memory_base=VALUE")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_shell_returns_the_text(
            text in prop::collection::vec(
                prop_oneof![any::<char>(), prop::char::range('\x01', '\x7f')],
                0..40,
            )
        ) {
            let text: String = text.into_iter().filter(|it| *it != '\0').collect();
            check(text.trim_end_matches('\n'));
        }
    }
}
