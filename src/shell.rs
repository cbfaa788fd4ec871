//! Words of a command to paste, quoted for the POSIX shell.
//!
//! A crate would quote control characters as they are, or in the `$'…'` that dash has not.
//! The command is shown on a terminal before it is pasted, so that they must not be in it.

use core::fmt::Write;

use crate::printable::is_hidden;

/// The word such that a POSIX shell makes exactly this text of it. `None` where no command
/// line can carry the text: it has a NUL.
///
/// Text with characters that a terminal must not get is written by `printf`, in octal.
/// Command substitution drops line breaks at the end: the last character must be none.
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

/// `"$(printf '…')"`: the format has `%`, `\` and hidden characters escaped.
fn by_printf(text: &str) -> String {
    let mut word = String::from("\"$(printf '");
    for (nth, it) in text.chars().enumerate() {
        match it {
            // Not an option of `printf`.
            '-' if nth == 0 => word.push_str(r"\055"),
            '%' => word.push_str("%%"),
            '\\' => word.push_str(r"\\"),
            '\'' => word.push_str(r"\047"),
            it if is_hidden(it) => {
                for byte in it.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(word, "\\{byte:03o}"); // a `String` always takes it
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

    /// What a shell makes of the word.
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
    fn what_a_shell_would_take_apart() {
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
        fn a_shell_gives_the_text_back(
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
