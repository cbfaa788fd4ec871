//! The first figures of a report: how much of the data is in images, and what would put more
//! of it there.

use wasm_meminit::analysis::{SegmentMode, StartReason};

use crate::report::hint::{self, Hint, NO_COMMAND};
use crate::report::module::ModuleSurvey;
use crate::report::wrap::paragraph;
use crate::text::terminal::{BOLD, Look, paint};
use crate::text::units::{counted, grouped, percent, size};

/// The page size that needs no mention.
const USUAL_PAGE: u64 = 4096;

/// The data of one or more core modules, in figures. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headline {
    /// Bytes that instantiation writes: those of active segments, and those that the start
    /// function of a threaded module copies.
    pub(crate) data_bytes: u64,
    /// How many of those are in images.
    pub(crate) in_images: u64,
    /// Bytes of the other passive segments, which the program writes, if at all.
    pub(crate) passive_bytes: u64,
    /// Bytes of the images, which include zeros.
    pub(crate) image_bytes: u64,
    /// Segments in images.
    pub(crate) n_baked: u64,
    /// Segments that the host replays.
    pub(crate) n_replayed: u64,
    /// Segments that are left to the start function.
    pub(crate) n_left_to_start: u64,
}

/// How much of the data is in images: the decision for a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no data to put in images.
    None,
    /// Every segment is in an image.
    Static,
    /// Some segments are.
    Hybrid,
    /// No segment is.
    Segmented,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Static => "static",
            Self::Hybrid => "hybrid",
            Self::Segmented => "segmented",
        }
    }
}

impl Headline {
    pub(crate) fn of(modules: &[ModuleSurvey<'_>]) -> Self {
        modules
            .iter()
            .fold(Self::default(), |sum, it| sum.plus(Self::of_module(it)))
    }

    fn of_module(survey: &ModuleSurvey<'_>) -> Self {
        let (mut active, mut passive) = (0, 0);
        for segment in survey.module.segments().values() {
            let len = segment.data.len() as u64;
            match segment.mode {
                SegmentMode::Active { .. } => active += len,
                SegmentMode::Passive => passive += len,
            }
        }
        let (mut n_start, mut of_start) = (0, 0);
        let mut is_left = false;
        if let Some(start) = &survey.start {
            is_left = start.why_not.is_some();
            match &start.init {
                Ok(init) => {
                    n_start = init.writes().len() as u64;
                    of_start = survey.copied_bytes(init);
                }
                // It may copy all of them; that is known once the value or the size is.
                Err(StartReason::DynamicOffset { .. } | StartReason::OutOfBounds { .. }) => {
                    n_start = survey.n_passive();
                    of_start = passive;
                }
                Err(_) => {}
            }
        }
        Self {
            data_bytes: active + of_start,
            in_images: hint::baked_bytes(survey, &survey.plan),
            passive_bytes: passive.saturating_sub(of_start),
            image_bytes: image_bytes(survey),
            n_baked: survey.n_baked() + if is_left { 0 } else { n_start },
            n_replayed: survey.n_replayed(),
            n_left_to_start: if is_left { n_start } else { 0 },
        }
    }

    /// Returns the sums of two headlines.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            data_bytes: self.data_bytes.saturating_add(other.data_bytes),
            in_images: self.in_images.saturating_add(other.in_images),
            passive_bytes: self.passive_bytes.saturating_add(other.passive_bytes),
            image_bytes: self.image_bytes.saturating_add(other.image_bytes),
            n_baked: self.n_baked.saturating_add(other.n_baked),
            n_replayed: self.n_replayed.saturating_add(other.n_replayed),
            n_left_to_start: self.n_left_to_start.saturating_add(other.n_left_to_start),
        }
    }

    pub(crate) const fn verdict(&self) -> Verdict {
        match (self.n_baked, self.n_replayed + self.n_left_to_start) {
            (0, 0) => Verdict::None,
            (_, 0) => Verdict::Static,
            (0, _) => Verdict::Segmented,
            _ => Verdict::Hybrid,
        }
    }

    /// Returns the share of the data that is in images, from 0 to 1; `None` without data.
    pub(crate) fn share(&self) -> Option<f64> {
        (self.data_bytes != 0).then(|| self.in_images as f64 / self.data_bytes as f64)
    }

    /// Returns the share as it is shown: `98.7 %`, `100 %`.
    pub(crate) fn shown_share(&self) -> Option<String> {
        self.share().map(|it| percent(it).replace(".0 %", " %"))
    }

    /// Returns the figures as a sentence without a full stop.
    pub(crate) fn sentence(&self, page_size: u64) -> String {
        let Some(share) = self.shown_share() else {
            return match self.passive_bytes {
                0 => String::from("no data that instantiation writes"),
                bytes => format!(
                    "no data that instantiation writes; {} left to the program",
                    counted(bytes, "passive byte")
                ),
            };
        };
        let (in_images, all) = (
            grouped(self.in_images),
            counted(self.data_bytes, "data byte"),
        );
        let mut text = format!("{in_images} of {all} ({share}) in images");
        if self.image_bytes != 0 {
            let pages = counted(self.image_bytes / page_size.max(1), "host page");
            text.push_str(&format!(", {pages}"));
            if page_size != USUAL_PAGE {
                text.push_str(&format!(" of {}", size(page_size)));
            }
        }
        text
    }

    /// Returns how much of the data would be in images with the options of the hint.
    pub(crate) fn with_hint(&self, hint: &Hint) -> String {
        let bytes = grouped(self.in_images.saturating_add(hint.data_bytes));
        match hint.is_upper_bound() {
            true => format!("up to {bytes}"),
            false => bytes,
        }
    }

    /// Writes the figures, then the command that puts more data into images. The command is
    /// meant to be pasted, so it is on its own line, neither wrapped nor cut.
    pub(crate) fn text(&self, out: &mut String, page_size: u64, hint: Option<&Hint>, look: Look) {
        let sentence = self.sentence(page_size);
        let Some(hint) = hint else {
            paragraph(out, &paint(BOLD, &sentence), look.columns, "", "  ");
            return;
        };
        let more = self.with_hint(hint);
        let Some(command) = &hint.command else {
            let line = format!("{}; {more} {NO_COMMAND}", paint(BOLD, &sentence));
            paragraph(out, &line, look.columns, "", "  ");
            return;
        };
        let line = format!("{}; {more} with:", paint(BOLD, &sentence));
        paragraph(out, &line, look.columns, "", "  ");
        out.push_str(&format!("  {command}\n"));
        if let Some(condition) = hint.condition() {
            let line = format!("provided that {condition}");
            paragraph(out, &line, look.columns, "", "  ");
        }
    }
}

/// Returns how many bytes the images of all memories have.
pub(crate) fn image_bytes(survey: &ModuleSurvey<'_>) -> u64 {
    let memories = survey.plan.memories().values();
    memories.fold(0, |sum, it| it.image_bytes().saturating_add(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Headline = Headline {
        data_bytes: 2000,
        in_images: 1000,
        passive_bytes: 5,
        image_bytes: 65_536,
        n_baked: 1,
        n_replayed: 1,
        n_left_to_start: 0,
    };

    #[test]
    fn sentences() {
        assert_eq!(
            HALF.sentence(4096),
            "1,000 of 2,000 data bytes (50 %) in images, 16 host pages"
        );
        assert_eq!(
            HALF.sentence(65_536),
            "1,000 of 2,000 data bytes (50 %) in images, 1 host page of 64 KiB"
        );
        let none = Headline::default();
        assert_eq!(none.sentence(4096), "no data that instantiation writes");
        let passive = Headline {
            passive_bytes: 1234,
            ..none
        };
        assert_eq!(
            passive.sentence(4096),
            "no data that instantiation writes; 1,234 passive bytes left to the program"
        );
    }

    #[test]
    fn verdicts_count_what_the_start_function_copies() {
        assert_eq!(HALF.verdict(), Verdict::Hybrid);
        let left = Headline {
            n_left_to_start: 3,
            ..Headline::default()
        };
        assert_eq!(left.verdict(), Verdict::Segmented);
        let all = Headline {
            n_replayed: 0,
            ..HALF
        };
        assert_eq!(all.verdict(), Verdict::Static);
        assert_eq!(Headline::default().verdict(), Verdict::None);
        // Sums of hostile sizes saturate.
        let most = Headline {
            image_bytes: u64::MAX,
            ..HALF
        };
        assert_eq!(most.plus(most).image_bytes, u64::MAX);
    }
}
