//! The arguments of `cargo xtask fuzz`.

use anyhow::{Context, bail};

use super::USAGE;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options<'a> {
    /// A target, or `all`.
    pub(super) target: &'a str,
    pub(super) seconds: u64,
    pub(super) jobs: u32,
    /// The system whose code path runs; this one's if `None`.
    pub(super) path: Option<&'a str>,
    /// A file to run instead of a fuzzer.
    pub(super) input: Option<&'a str>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(args: &[&'a str]) -> anyhow::Result<Self> {
        let mut options = Self {
            target: "",
            seconds: 60,
            jobs: 1,
            path: None,
            input: None,
        };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            let mut value = || {
                args.next()
                    .with_context(|| format!("{arg} needs a value\n{USAGE}"))
            };
            match arg {
                "--time" => options.seconds = number(arg, value()?)?,
                "--jobs" => options.jobs = number(arg, value()?)?,
                "--path" => options.path = Some(value()?),
                "--input" => options.input = Some(value()?),
                name if options.target.is_empty() && !name.starts_with('-') => {
                    options.target = name;
                }
                _ => bail!("unexpected argument `{arg}`\n{USAGE}"),
            }
        }
        let is_known = options
            .path
            .is_none_or(|it| matches!(it, "unix" | "portable"));
        if options.target.is_empty() || !is_known || options.jobs == 0 {
            bail!("{USAGE}");
        }
        Ok(options)
    }

    /// Returns these features, and the one that selects the path.
    pub(super) fn features(&self, others: &str) -> String {
        let path = self.path.map(|it| format!("test-{it}"));
        let others = Some(others.to_owned()).filter(|it| !it.is_empty());
        let features: Vec<String> = others.into_iter().chain(path).collect();
        features.join(",")
    }
}

fn number<T: core::str::FromStr>(option: &str, value: &str) -> anyhow::Result<T> {
    let number = value.parse().ok();
    number.with_context(|| format!("{option} {value}: expected a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_target_or_precede_it() {
        let args = ["--time", "5", "slot", "--jobs", "2", "--path", "unix"];
        let expected = Options {
            target: "slot",
            seconds: 5,
            jobs: 2,
            path: Some("unix"),
            input: None,
        };
        assert_eq!(Options::parse(&args).expect("valid"), expected);
        assert_eq!(expected.features(""), "test-unix");
        assert_eq!(expected.features("c-api"), "c-api,test-unix");
    }

    #[test]
    fn wrong_options_are_errors() {
        for args in [
            &["--time", "5"][..],
            &["slot", "--time"],
            &["slot", "--time", "x"],
            &["slot", "--jobs", "0"],
            &["slot", "--path", "plan9"],
            &["slot", "pool"],
            &["slot", "--seed", "1"],
        ] {
            assert!(Options::parse(args).is_err(), "{args:?}");
        }
    }
}
