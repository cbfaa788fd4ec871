//! Parses just enough Rust to distinguish code from comments and strings.

/// Returns `text` with comments, strings and characters blanked out. Lines and columns are
/// unchanged.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            // Keep newlines, so that line numbers do not change.
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|&c| if c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// Returns the end of the comment or literal that starts at `at`, or `at` if there is none.
fn skip(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let starts = |prefix: &str| prefix.chars().eq(rest.iter().copied().take(prefix.len()));
    if starts("//") {
        return at + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
    }
    if starts("/*") {
        return at + block_comment(rest);
    }
    if starts("\"") {
        return at + quoted(rest, '"');
    }
    // A raw string starts a new word, or is prefixed: `r"` and `br"`, but not the `r` of `for`.
    let in_word = at
        .checked_sub(1)
        .is_some_and(|before| is_word(chars[before]));
    if starts("r") && (!in_word || is_string_prefix(chars, at)) {
        return at + raw_string(rest);
    }
    if starts("'") {
        at + character(rest)
    } else {
        at
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the `r` at `at` is the second letter of `br` or `cr`.
fn is_string_prefix(chars: &[char], at: usize) -> bool {
    let letter = chars[at - 1];
    let starts_word = at < 2 || !is_word(chars[at - 2]);
    starts_word && (letter == 'b' || letter == 'c')
}

/// Returns the length of a block comment. Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Returns the length of `r#"…"#`, or 0: `r#type` is a name.
fn raw_string(rest: &[char]) -> usize {
    let n_hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    let open = 1 + n_hashes;
    if rest.get(open) != Some(&'"') {
        return 0;
    }
    let mut at = open + 1;
    while at < rest.len() {
        let hashes = rest[at + 1..].iter().take_while(|&&c| c == '#').count();
        if rest[at] == '"' && n_hashes <= hashes {
            return at + 1 + n_hashes;
        }
        at += 1;
    }
    rest.len()
}

/// Returns the length of `'a'` or `'\n'`, but 0 for the lifetime `'a`.
fn character(rest: &[char]) -> usize {
    match rest.get(1..3) {
        Some(['\\', _]) => quoted(rest, '\''),
        Some([_, '\'']) => 3,
        _ => 0,
    }
}

/// Returns what follows the word `unsafe` in a line of code, if it contains that word.
pub(super) fn after_unsafe(code: &str) -> Option<&str> {
    const WORD: &str = "unsafe";
    code.match_indices(WORD).find_map(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + WORD.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        whole.then(|| after.trim_start())
    })
}

/// Whether there is a safety comment above the statement that follows the given lines, each
/// given as written and as code only.
pub(super) fn is_proven(above: &[(&str, &str)]) -> bool {
    let mut lines = above.iter().rev().peekable();
    // The statement may begin some lines earlier, for example with `let a =` or an attribute.
    while let Some((_, code)) = lines.peek() {
        let code = code.trim();
        if code.is_empty() || code.ends_with([';', '{', '}', ',']) {
            break;
        }
        lines.next();
    }
    lines
        .map(|(text, _)| text.trim_start())
        .take_while(|text| text.starts_with("//"))
        .any(|text| text.starts_with("// SAFETY:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(code_only(text), expected);
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check("a /* b\nc */ e", "a     \n     e");
        check("a / b * c", "a / b * c");
    }

    #[test]
    fn strings_are_blanked() {
        check(r#"a("b\"c", d)"#, "a(      , d)");
        check("a(r\"b\\\", d)", "a(     , d)");
        check("a(r##\"b\"#c\"##, d)", "a(           , d)");
        check("a(br#\"b\"#, d)", "a(b      , d)");
        check("let r#type = for_r;", "let r#type = for_r;");
        check("\"never closed", "             ");
    }

    #[test]
    fn characters_are_not_lifetimes() {
        check("a('\"', b)", "a(   , b)");
        check(r"a('\'', b)", "a(    , b)");
        check(r"a('\u{1F}', b)", "a(        , b)");
        check("fn a<'b>(c: &'b str)", "fn a<'b>(c: &'b str)");
    }

    #[test]
    fn unsafe_is_a_word() {
        assert_eq!(after_unsafe("let a = unsafe { b };"), Some("{ b };"));
        assert_eq!(after_unsafe("pub unsafe fn a()"), Some("fn a()"));
        assert_eq!(after_unsafe("#[unsafe(no_mangle)]"), Some("(no_mangle)]"));
        assert_eq!(after_unsafe("deny(unsafe_code)"), None);
        assert_eq!(after_unsafe("allow(unsafe_code); unsafe {"), Some("{"));
    }
}
