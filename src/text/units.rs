//! Formats and parses human-readable numbers: `1,234,567`, `16 MiB`, `98.7 %`.

use core::str::FromStr;

/// Formats a number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number of bytes in the largest unit that it reaches, with one decimal place if
/// it is not a whole number of units.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(nth) = bytes
        .checked_ilog2()
        .and_then(|log2| (log2 / 10).checked_sub(1))
    else {
        return counted(bytes, "byte");
    };
    let unit = UNITS[nth as usize];
    let shift = (nth + 1) * 10;
    if bytes.trailing_zeros() >= shift {
        format!("{} {unit}", bytes >> shift)
    } else {
        format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64)
    }
}

/// Parses a number of bytes: decimal, hexadecimal with a `0x` prefix, or decimal with a unit,
/// as in `64K`, `2M`, `16MiB`, `1G`.
///
/// # Errors
///
/// The text is not such a number, or the number needs more than 64 bits.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let not_bytes = || format!("{text:?} is not a number of bytes, such as 65536, 0x10000 or 64K");
    // Digits only: `parse` would accept `+1`.
    let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_hexdigit());
    if let Some(digits) = text.strip_prefix("0x") {
        let bytes = u64::from_str_radix(digits, 16).ok();
        return bytes.filter(|_| is_digits(digits)).ok_or_else(not_bytes);
    }
    let units = [("K", 10), ("M", 20), ("G", 30)].into_iter();
    let unit = units.flat_map(|(unit, shift)| {
        let long = format!("{unit}iB");
        [
            (long, shift),
            (unit.to_lowercase(), shift),
            (unit.to_owned(), shift),
        ]
    });
    let (digits, shift) = unit
        .filter_map(|(unit, shift)| Some((text.strip_suffix(&unit)?, shift)))
        .next()
        .unwrap_or((text, 0));
    let number = digits.parse::<u64>().ok().filter(|_| is_digits(digits));
    number
        .ok_or_else(not_bytes)?
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text:?} is 16 EiB or more"))
}

/// Parses a count or an index: decimal digits.
///
/// # Errors
///
/// The text is not such a number, or the number is too large for the type.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!("{text:?} is not a number, such as 0 or 12"));
    }
    text.parse().map_err(|_| format!("{text:?} is too large"))
}

/// Formats a count with its noun: `1 run`, `2 runs`, `3 memories`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let number_text = grouped(number);
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("{number_text} {what}"),
        (_, Some(stem)) => format!("{number_text} {stem}ies"),
        (_, None) => format!("{number_text} {what}s"),
    }
}

/// Formats a share from 0 to 1. Anything less than 1 is never shown as 100 %, and anything
/// greater than 0 never as 0 %.
pub(crate) fn percent(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    let kept = match share {
        it if 0.0 < it && rounded == 0.0 => return String::from("< 0.1 %"),
        it if it < 1.0 && 100.0 <= rounded => 99.9,
        _ => rounded,
    };
    format!("{kept:.1} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn sizes_take_the_largest_unit() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(1023), "1,023 bytes");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(16 << 20), "16 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn bytes_with_and_without_a_unit() {
        for (text, number) in [
            ("0", 0),
            ("4096", 4096),
            ("0x1000", 4096),
            ("64K", 1 << 16),
            ("64k", 1 << 16),
            ("16KiB", 1 << 14),
            ("2M", 2 << 20),
            ("3GiB", 3 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for bad in [
            "",
            "K",
            "+1",
            "0x",
            "0x+1",
            "0x10K",
            "1.5M",
            "4 K",
            "-1",
            "KiB",
            "17179869184G",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number("0"), Ok(0_u32));
        assert_eq!(number("4294967295"), Ok(u32::MAX));
        let too_large = Err(String::from("\"4294967296\" is too large"));
        assert_eq!(number::<u32>("4294967296"), too_large);
        for bad in ["", "x", "+1", "-1", "0x1", "1K", "1.5", " 1"] {
            let expected = format!("{bad:?} is not a number, such as 0 or 12");
            assert_eq!(number::<u64>(bad), Err(expected));
        }
    }

    #[test]
    fn plurals() {
        assert_eq!(counted(1, "memory"), "1 memory");
        assert_eq!(counted(2, "memory"), "2 memories");
        assert_eq!(counted(0, "run"), "0 runs");
    }

    #[test]
    fn shares_do_not_round_to_0_or_100_percent() {
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(0.000_01), "< 0.1 %");
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(percent(0.999_99), "99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
    }
}
