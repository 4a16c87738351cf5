//! Samples in pairs, medians, ratios, and the table at the end.

use std::time::{Duration, Instant};

/// A start that took more processor time of the machine than this times the least of its side was disturbed by others.
const DISTURBED: f64 = 1.25;

/// One start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// How long it took.
    pub(super) time: Duration,
    /// Processor seconds of the whole machine meanwhile.
    pub(super) processor: f64,
}

/// Ours and the peer's, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pairs: Vec<(Sample, Sample)>,
}

impl Pairs {
    pub(super) fn push(&mut self, ours: Sample, peer: Sample) {
        self.pairs.push((ours, peer));
    }

    /// How many pairs had the machine to themselves.
    pub(super) fn quiet(&self) -> usize {
        self.ratios(true).len()
    }

    /// Our times over the peer's; of all pairs, or of those that nobody disturbed.
    ///
    /// What is chosen by is processor time, on both sides alike, never the measured time itself.
    fn ratios(&self, quiet_only: bool) -> Vec<f64> {
        self.kept(quiet_only).map(|(ours, peer)| ours.time.as_secs_f64() / peer.time.as_secs_f64()).collect()
    }

    fn kept(&self, quiet_only: bool) -> impl Iterator<Item = &(Sample, Sample)> {
        let least = |side: fn(&(Sample, Sample)) -> f64| self.pairs.iter().map(side).fold(f64::INFINITY, f64::min);
        let (ours, peer) = (least(|pair| pair.0.processor), least(|pair| pair.1.processor));
        let quiet = move |pair: &&(Sample, Sample)| {
            pair.0.processor <= ours * DISTURBED && pair.1.processor <= peer * DISTURBED
        };
        self.pairs.iter().filter(move |pair| !quiet_only || quiet(pair))
    }

    /// The finding of the quiet pairs, and beside it that of all.
    pub(super) fn finding(&self, what: &str, limit: f64) -> Finding {
        let times = |side: fn(&(Sample, Sample)) -> Sample, quiet_only| -> Vec<f64> {
            self.kept(quiet_only).map(|pair| side(pair).time.as_secs_f64()).collect()
        };
        let of_medians =
            |quiet_only| median(&times(|pair| pair.0, quiet_only)) / median(&times(|pair| pair.1, quiet_only));
        let ratio = of_medians(true);
        let (of_pairs, of_all) = (median(&self.ratios(true)), of_medians(false));
        Finding {
            what: format!("{what} ({} quiet pairs of {})", self.quiet(), self.pairs.len()),
            ours: spread(&times(|pair| pair.0, true)),
            peer: spread(&times(|pair| pair.1, true)),
            measured: format!("{ratio:.3} (median of the pairs' ratios {of_pairs:.3}; with the disturbed {of_all:.3})"),
            target: format!("≤ {limit:.2}"),
            met: ratio <= limit,
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Finding {
    what: String,
    ours: String,
    peer: String,
    measured: String,
    target: String,
    met: bool,
}

impl Finding {
    /// A size that is to stay below a limit, in MB of a million bytes.
    pub(super) fn size(what: impl Into<String>, told: String, megabytes: f64, limit: Option<f64>) -> Self {
        Self {
            what: what.into(),
            ours: told,
            peer: "–".into(),
            measured: format!("{megabytes:.1} MB"),
            target: limit.map_or_else(|| "none".into(), |limit| format!("≤ {limit:.0} MB")),
            met: limit.is_none_or(|limit| megabytes <= limit),
        }
    }
}

/// What a figure is measured against.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Finding {
    /// One number, beside what is known of the peer.
    pub(super) fn figure(what: &str, ours: f64, unit: &str, peer: &str, aim: Aim) -> Self {
        let (target, met) = match aim {
            Aim::AtLeast(least) => (format!("≥ {least} {unit}"), ours >= least),
            Aim::AtMost(most) => (format!("≤ {most} {unit}"), ours <= most),
            Aim::None => ("none".into(), true),
        };
        let digits = if ours < 10.0 { 3 } else { 0 };
        let ours = format!("{ours:.digits$} {unit}");
        Self { what: what.into(), measured: ours.clone(), ours, peer: format!("{peer} {unit}"), target, met }
    }
}

/// Prints the findings on standard output, as Markdown, so that they can stand in the documents as they are.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn print(findings: &[Finding], circumstances: &str) {
    println!("\n{circumstances}\n");
    println!("| what | essaim | peer | ratio or size | target | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Finding { what, ours, peer, measured, target, met } in findings {
        let verdict = match (target.as_str(), met) {
            ("none", _) => "–",
            (_, true) => "met",
            (_, false) => "missed",
        };
        println!("| {what} | {ours} | {peer} | {measured} | {target} | {verdict} |");
    }
}

/// How long something took, besides what it gave.
pub(super) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let result = act();
    (result, now() - start)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time; nothing of essaim is decided from it")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// `median (min … max)`.
fn spread(seconds: &[f64]) -> String {
    let min = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let max = seconds.iter().copied().fold(0.0, f64::max);
    format!("{:.2} s ({min:.2} … {max:.2})", median(seconds))
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: u64, processor: f64) -> Sample {
        Sample { time: Duration::from_millis(millis), processor }
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_its_middle_two() {
        assert!((median(&[4.0, 1.0, 2.0, 9.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_pair_that_others_disturbed_on_either_side_does_not_count() {
        let mut pairs = Pairs::default();
        pairs.push(sample(2100, 2.0), sample(2000, 1.9));
        pairs.push(sample(9000, 6.0), sample(2000, 1.9));
        pairs.push(sample(2100, 2.0), sample(9000, 6.0));
        assert_eq!(pairs.quiet(), 1);
        let finding = pairs.finding("start", 1.10);
        assert!(finding.met, "{finding:?}");
        assert!(finding.what.contains("1 quiet pairs of 3"), "{finding:?}");
    }

    #[test]
    fn no_figures_meet_no_target() {
        assert!(!Pairs::default().finding("start", 1.10).met);
    }
}
