//! The options of every subcommand.

use std::ffi::OsString;

use anstream::ColorChoice;
use clap::{Args, ValueEnum};

/// Options that are accepted before and after the name of a subcommand.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalArgs {
    /// Print no report, summary, warning or progress: only errors, findings and requested data
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    /// Choose when to print in colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    // Read by `Color::of`, before the command line is parsed.
    color: Color,
}

/// The values of `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always, in a pipe or a file too
    Always,
    /// Never
    Never,
}

impl Color {
    /// Returns the choice that a command line makes, as far as that is known without parsing
    /// it. What is not a valid choice is reported later.
    pub(super) fn of(args: &[OsString]) -> Self {
        let mut choice = Self::Auto;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = match arg.to_str() {
                Some("--") => break,
                Some("--color") => args.next().and_then(|it| it.to_str()),
                Some(arg) => arg.strip_prefix("--color="),
                None => None,
            };
            if let Some(it) = value.and_then(|it| Self::from_str(it, false).ok()) {
                choice = it;
            }
        }
        choice
    }

    /// Makes the choice for everything that this process prints.
    pub(super) fn apply(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_found_anywhere() {
        let of = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            Color::of(&args)
        };
        assert_eq!(of("tool inspect x"), Color::Auto);
        assert_eq!(of("tool --color never inspect x"), Color::Never);
        assert_eq!(of("tool inspect x --color=always"), Color::Always);
        assert_eq!(of("tool inspect --color"), Color::Auto);
        assert_eq!(of("tool inspect --color=pink"), Color::Auto);
        assert_eq!(of("tool inspect -- --color=always"), Color::Auto);
    }
}
