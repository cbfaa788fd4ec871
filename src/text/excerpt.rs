//! A line of a source text with a marker below one of its characters, as compilers print it.

use unicode_width::UnicodeWidthChar;

use super::printable::is_hidden;
use super::terminal::Look;

/// The distance between tab stops, in cells.
const TAB: usize = 4;

/// The fewest cells of the line that are shown, however narrow the terminal is.
const MIN_CELLS: usize = 20;

/// Returns three lines: an empty one, the source line with its number, and a caret below the
/// character at the byte offset `at`. Hidden characters are escaped, tabs become spaces, and a
/// line wider than the terminal is cut on both sides of the caret.
pub(crate) fn excerpt(number: usize, line: &str, at: usize, look: Look) -> String {
    let number = number.to_string();
    let gutter = " ".repeat(number.len());
    let room = look.columns.saturating_sub(number.len() + 3).max(MIN_CELLS);
    // Only characters near the caret can be visible; a line may have megabytes.
    let at = floor(line, at);
    let start = line[..at].char_indices().rev().take(room).last();
    let start = start.map_or(at, |it| it.0);
    let end = line[at..].char_indices().nth(room);
    let end = end.map_or(line.len(), |it| at + it.0);
    let before = cells(&line[start..at], 0);
    let caret = before.len();
    let mut cells: Vec<Cell> = before;
    cells.extend(self::cells(&line[at..end], caret));

    // A window of `room` cells, with the caret at two thirds of it if both sides are cut.
    let mut from = 0;
    if room < cells.len() || start != 0 || end != line.len() {
        from = caret.saturating_sub(room * 2 / 3);
        from = from.min(cells.len().saturating_sub(room));
    }
    let to = (from + room).min(cells.len());
    let mark = look.either("…", "~");
    let is_cut = (
        start != 0 || from != 0,
        end != line.len() || to < cells.len(),
    );
    // The mark at the end takes the place of a whole character, which may be wide.
    let last = match cells.get(to.saturating_sub(1)) {
        Some(Cell::Covered) => to.saturating_sub(2),
        _ => to.saturating_sub(1),
    };
    let mut shown = String::new();
    for (at, cell) in cells.iter().enumerate().take(to).skip(from) {
        let is_mark = (at == from && is_cut.0) || (at == last && is_cut.1);
        match cell {
            _ if is_mark && at != caret => shown.push_str(mark),
            Cell::Text(text) => shown.push_str(text),
            // The second half of a wide character, unless its first half is not shown.
            Cell::Covered if at == from || (at == from + 1 && is_cut.0) => shown.push(' '),
            Cell::Covered => {}
        }
    }
    let caret = " ".repeat(caret - from);
    let line = format!("{number} | {shown}");
    format!("{gutter} |\n{}\n{gutter} | {caret}^", line.trim_end())
}

/// One column of a terminal.
enum Cell {
    /// A character of one or two cells, with those of no width that follow it.
    Text(String),
    /// The second cell of a wide character.
    Covered,
}

/// Returns how a text is shown that begins in the given column.
fn cells(text: &str, column: usize) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for it in text.chars() {
        if it == '\t' {
            let n = TAB - (column + cells.len()) % TAB;
            cells.extend((0..n).map(|_| Cell::Text(" ".to_owned())));
        } else if is_hidden(it) {
            let escape = it.escape_default();
            cells.extend(escape.map(|it| Cell::Text(it.to_string())));
        } else {
            match (it.width().unwrap_or(0), cells.last_mut()) {
                (0, Some(Cell::Text(last))) => last.push(it),
                (2, _) => cells.extend([Cell::Text(it.to_string()), Cell::Covered]),
                // Without a character to join, it takes a cell of its own.
                _ => cells.push(Cell::Text(it.to_string())),
            }
        }
    }
    cells
}

/// Returns the start of the character that contains a byte offset.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|it| text.is_char_boundary(*it))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look {
        columns: 40,
        ascii: false,
    };

    #[track_caller]
    fn check(line: &str, at: usize, expected: &str) {
        let text = excerpt(7, line, at, LOOK);
        let [_, shown, marker] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        assert_eq!(format!("{shown}\n{marker}"), expected);
    }

    #[test]
    fn the_caret_is_below_its_character() {
        check(
            "(module (mem 1))",
            9,
            "7 | (module (mem 1))\n  |          ^",
        );
        check("\t(mem)", 2, "7 |     (mem)\n  |      ^");
        check("a\t(mem)", 3, "7 | a   (mem)\n  |      ^");
        check("語語x", 6, "7 | 語語x\n  |     ^");
        // An accent that follows its letter takes no cell.
        check("e\u{301}x", 3, "7 | e\u{301}x\n  |  ^");
        check("a\u{202e}b", 4, "7 | a\\u{202e}b\n  |          ^");
        check("end", 3, "7 | end\n  |    ^");
        check("", 0, "7 |\n  | ^");
        // In the middle of a character, and past the end.
        check("語", 1, "7 | 語\n  | ^");
        check("x", 9, "7 | x\n  |  ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line = "0123456789".repeat(10_000);
        check(&line, 0, &format!("7 | {}…\n  | ^", &line[..35]));
        let middle = format!("7 | …{}…\n  | {}^", &line[7..41], " ".repeat(24));
        check(&line, 50_000 + 30, &middle);
        let end = format!("7 | …{}\n  | {}^", &line[99_965..], " ".repeat(35));
        check(&line, 99_999, &end);
        let wide = "語".repeat(1000);
        for at in [0, 300, 1500, 2997] {
            let text = excerpt(7, &wide, at, LOOK);
            let shown = text.lines().nth(1).expect("a line");
            assert!(
                unicode_width::UnicodeWidthStr::width(shown) <= 40,
                "{shown}"
            );
        }
    }
}
