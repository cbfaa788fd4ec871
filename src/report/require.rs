//! `inspect --require`: conditions that a CI checks.

use core::fmt::{self, Display};
use core::str::FromStr;

use wasm_meminit::analysis::{Reason, StartReason};

use crate::report::artifact::ArtifactSurvey;
use crate::report::headline::Verdict;
use crate::report::survey::Survey;
use crate::report::{copying, reasons};
use crate::text::printable::printable;
use crate::text::terminal::Look;
use crate::text::units::{self, counted, grouped};

/// The most findings of one condition that are listed for one file.
const MAX_FINDINGS: usize = 20;

/// A condition on the images of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// The data of all segments that instantiation writes is in images: none is left to the host or
    /// to a start function.
    Static,
    /// The host replays no segment.
    NoReplay,
    /// All images together have at most this many bytes.
    MaxImage(u64),
}

impl Requirement {
    /// How each is written on the command line; a number follows the last.
    pub(crate) const FORMS: [&str; 3] = ["static", "no-replay", "max-image="];
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once('=')) {
            ("static", _) => Ok(Self::Static),
            ("no-replay", _) => Ok(Self::NoReplay),
            (_, Some(("max-image", bytes))) => units::bytes(bytes).map(Self::MaxImage),
            _ => Err(String::from(
                "expected static, no-replay or max-image=BYTES",
            )),
        }
    }
}

impl Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("static"),
            Self::NoReplay => f.write_str("no-replay"),
            Self::MaxImage(bytes) => write!(f, "max-image={bytes}"),
        }
    }
}

/// Without an image, nothing is known: all of the data may be left to a start function.
const NO_IMAGE: &str =
    "no image; what a start function writes is not recorded, so inspect the module";

/// One violation of a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) requirement: Requirement,
    /// What violates it: one line, without hidden characters.
    pub(crate) text: String,
}

/// Returns the violations of a module or component, in the order of the requirements.
pub(crate) fn of_modules(all: &[Requirement], survey: &Survey<'_>, look: Look) -> Vec<Finding> {
    let findings = all.iter().map(|&requirement| {
        let texts = match requirement {
            Requirement::Static => left_over(survey, true, look),
            Requirement::NoReplay => left_over(survey, false, look),
            Requirement::MaxImage(most) => too_large(survey.headline.image_bytes, most),
        };
        limited(requirement, texts)
    });
    findings.flatten().collect()
}

/// Returns the violations of an artifact, in the order of the requirements.
pub(crate) fn of_artifact(all: &[Requirement], survey: &ArtifactSurvey<'_>) -> Vec<Finding> {
    let findings = all.iter().map(|&requirement| {
        let texts = match requirement {
            Requirement::Static if survey.verdict() == Verdict::None => {
                vec![String::from(NO_IMAGE)]
            }
            Requirement::Static | Requirement::NoReplay => match survey.n_replayed() {
                0 => Vec::new(),
                n => vec![format!("{} to replay", counted(n, "segment"))],
            },
            Requirement::MaxImage(most) => too_large(survey.image_bytes(), most),
        };
        limited(requirement, texts)
    });
    findings.flatten().collect()
}

fn limited(requirement: Requirement, mut texts: Vec<String>) -> Vec<Finding> {
    let n_more = texts.len().saturating_sub(MAX_FINDINGS);
    texts.truncate(MAX_FINDINGS);
    if n_more != 0 {
        texts.push(format!("and {} more", grouped(n_more as u64)));
    }
    let finding = |text: String| Finding {
        requirement,
        text: printable(&text).into_owned(),
    };
    texts.into_iter().map(finding).collect()
}

fn too_large(image_bytes: u64, most: u64) -> Vec<String> {
    match image_bytes <= most {
        true => Vec::new(),
        false => vec![format!(
            "images of {} exceed the limit of {}",
            counted(image_bytes, "byte"),
            counted(most, "byte")
        )],
    }
}

/// Returns the segments that are replayed and, if `and_start`, those that are left to a start
/// function.
fn left_over(survey: &Survey<'_>, and_start: bool, look: Look) -> Vec<String> {
    let mut texts = Vec::new();
    for (nth, module) in survey.modules.iter().enumerate() {
        let place = match survey.is_component() {
            true => format!("core module {nth}: "),
            false => String::new(),
        };
        let groups = reasons::group(&module.reasons);
        let replayed = groups
            .iter()
            .filter(|it| it.memory().is_some() && *it.reason() != Reason::Passive);
        texts.extend(replayed.map(|it| {
            format!(
                "{place}{} ({}) not in an image: {}",
                it.segments(look),
                it.place(),
                it.why(module, look)
            )
        }));
        if and_start
            && let Some(start) = &module.start
            && let Some(why) = start.why_not
            && let n_bytes @ 1.. = module.passive_bytes()
            && (start.is_recognised() || copying::may_copy(&module.module))
        {
            let n_bytes = counted(n_bytes, "byte");
            let option = match why {
                StartReason::NotAsked => " (see --start-function)",
                _ => "",
            };
            let left = match start.is_recognised() {
                true => "left",
                false => "perhaps left",
            };
            texts.push(format!(
                "{place}{n_bytes} {left} to the start function: {why}{option}"
            ));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_parsed_with_units() {
        let parsed = |text: &str| text.parse::<Requirement>();
        assert_eq!(parsed("static"), Ok(Requirement::Static));
        assert_eq!(parsed("no-replay"), Ok(Requirement::NoReplay));
        assert_eq!(parsed("max-image=2M"), Ok(Requirement::MaxImage(2 << 20)));
        assert_eq!(parsed("max-image=0"), Ok(Requirement::MaxImage(0)));
        for bad in [
            "",
            "max-image",
            "max-image=",
            "max-image=x",
            "static=1",
            "Static",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
        assert_eq!(Requirement::MaxImage(2048).to_string(), "max-image=2048");
    }

    #[test]
    fn thousands_of_findings_take_a_few_lines() {
        let texts = (0..5000).map(|nth| format!("{nth}\u{1b}")).collect();
        let findings = limited(Requirement::Static, texts);
        assert_eq!(findings.len(), MAX_FINDINGS + 1);
        assert_eq!(findings[1].text, "1\\u{1b}");
        assert_eq!(findings[MAX_FINDINGS].text, "and 4,980 more");
    }
}
