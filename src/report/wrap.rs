//! Wraps text between words.

use unicode_width::UnicodeWidthStr;

/// Writes a list item, wrapped between words; continuation lines are indented further.
pub(super) fn wrapped(out: &mut String, line: &str, columns: usize) {
    paragraph(out, line, columns, "  ", "    ");
}

/// Wraps text between words, with `first` before the first line and `later` before the others.
pub(crate) fn paragraph(out: &mut String, line: &str, columns: usize, first: &str, later: &str) {
    let mut used = 0;
    for word in line.split(' ') {
        let width = anstream::adapter::strip_str(word).to_string().width();
        if used == 0 {
            out.push_str(first);
            used = first.len() + width;
        } else if columns < used + 1 + width {
            out.push('\n');
            out.push_str(later);
            used = later.len() + width;
        } else {
            out.push(' ');
            used += 1 + width;
        }
        out.push_str(word);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let mut out = String::new();
        wrapped(&mut out, "one two three four", 12);
        assert_eq!(out, "  one two\n    three\n    four\n");
    }
}
