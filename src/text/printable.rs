//! Which characters may be shown, as one rule for terminals, HTML pages and JSON.

use alloc::borrow::Cow;
use core::fmt::Write;

/// Whether a character could control the display or would be invisible: controls, marks that
/// change the direction of text, line separators, what Unicode calls default ignorable, and
/// code points without an assigned meaning (private use, noncharacters).
///
/// Unassigned code points are shown, since the set changes every year.
pub(crate) const fn is_hidden(it: char) -> bool {
    matches!(it,
        // C0, DEL and C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, grapheme joiner, Arabic letter mark.
        | '\u{ad}' | '\u{34f}' | '\u{61c}'
        // Fillers, inherent vowels, Mongolian variation selectors.
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero width, directions, line and paragraph separators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        // Private use.
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}'
        // Noncharacters.
        | '\u{fdd0}'..='\u{fdef}')
        || (it as u32) & 0xfffe == 0xfffe
}

/// Replaces every hidden character with its Rust escape: `\u{1b}`, `\n`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for it in text.chars() {
        if is_hidden(it) {
            clean.extend(it.escape_default());
        } else {
            clean.push(it);
        }
    }
    Cow::Owned(clean)
}

/// Replaces hidden characters in JSON with `\uXXXX`. A serializer emits them only inside
/// strings; its own line breaks stay.
pub(crate) fn json(text: String) -> String {
    let is_raw = |it: char| !it.is_ascii_control() && is_hidden(it) || it == '\u{7f}';
    if !text.contains(is_raw) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    for it in text.chars() {
        if is_raw(it) {
            for unit in it.encode_utf16(&mut [0; 2]) {
                let _ = write!(clean, "\\u{unit:04x}"); // writing to a `String` never fails
            }
        } else {
            clean.push(it);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        for hidden in [
            "\0",
            "\x1b",
            "\n",
            "\x7f",
            "\u{85}",
            "\u{9b}",
            "\u{ad}",
            "\u{61c}",
            "\u{200b}",
            "\u{200f}",
            "\u{202e}",
            "\u{2028}",
            "\u{2029}",
            "\u{2066}",
            "\u{feff}",
            "\u{e000}",
            "\u{e0041}",
            "\u{10ffff}",
            "\u{1fffe}",
        ] {
            let shown = printable(hidden);
            assert!(
                shown.starts_with('\\') && shown.is_ascii(),
                "{hidden:?}: {shown}"
            );
        }
        for plain in ["env.__memory_base", "é", "語", "a b", "🦀", "\u{fffd}"] {
            assert_eq!(printable(plain), plain);
        }
    }

    /// Every character at once: the text parses to the same characters, and has no hidden
    /// ones except the serializer's line breaks.
    #[test]
    fn json_keeps_every_character() {
        let all: String = ('\0'..=char::MAX).collect();
        let text = json(serde_json::to_string_pretty(&[&all]).expect("JSON"));
        assert!(!text.contains(|it| is_hidden(it) && it != '\n'));
        let back: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, [all]);
    }
}
