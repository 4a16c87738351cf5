//! Samples, medians, ratios, and the table at the end.

use std::time::{Duration, Instant};

/// Times of one thing, in the order in which they were taken.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples {
    seconds: Vec<f64>,
}

impl Samples {
    pub(super) fn push(&mut self, time: Duration) {
        self.seconds.push(time.as_secs_f64());
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// `median (min … max)` in seconds.
    pub(super) fn told(&self) -> String {
        let min = self.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.seconds.iter().copied().fold(0.0, f64::max);
        format!("{:.2} s ({min:.2} … {max:.2})", self.median())
    }

    /// The median of the ratios of each pair, which drifts of the machine between pairs do not touch.
    fn ratio_of_pairs(&self, peer: &Self) -> f64 {
        let ratios: Vec<f64> = self.seconds.iter().zip(&peer.seconds).map(|(ours, theirs)| ours / theirs).collect();
        median(&ratios)
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
    /// Ours against a peer's: the ratio of the medians is to be at most `limit`.
    pub(super) fn ratio(what: impl Into<String>, ours: &Samples, peer: &Samples, limit: f64) -> Self {
        let ratio = ours.median() / peer.median();
        Self {
            what: format!("{} ({} pairs)", what.into(), ours.seconds.len()),
            ours: ours.told(),
            peer: peer.told(),
            measured: format!("{ratio:.3} (pairs {:.3})", ours.ratio_of_pairs(peer)),
            target: format!("≤ {limit:.2}"),
            met: ratio <= limit,
        }
    }

    /// A size that is to stay below a limit, in MB of a million bytes.
    pub(super) fn size(what: impl Into<String>, measured: String, megabytes: f64, limit: Option<f64>) -> Self {
        Self {
            what: what.into(),
            ours: measured,
            peer: "–".into(),
            measured: format!("{megabytes:.1} MB"),
            target: limit.map_or_else(|| "–".into(), |limit| format!("≤ {limit:.0} MB")),
            met: limit.is_none_or(|limit| megabytes <= limit),
        }
    }
}

/// Prints the findings on standard output, as Markdown, so that they can stand in the documents as they are.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn print(findings: &[Finding], circumstances: &str) {
    println!("\n{circumstances}\n");
    println!("| what | essaim | peer | measured | target | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for Finding { what, ours, peer, measured, target, met } in findings {
        let verdict = if *met { "met" } else { "missed" };
        println!("| {what} | {ours} | {peer} | {measured} | {target} | {verdict} |");
    }
}

/// How long something took, besides what it gave.
pub(super) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let result = act();
    (result, now() - start)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time; nothing is decided from it")]
fn now() -> Instant {
    Instant::now()
}

fn median(values: &[f64]) -> f64 {
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

    fn samples(seconds: &[f64]) -> Samples {
        Samples { seconds: seconds.to_vec() }
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_its_middle_two() {
        assert!((samples(&[4.0, 1.0, 2.0, 9.0]).median() - 3.0).abs() < 1e-9);
        assert!((samples(&[4.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn pairs_are_compared_one_by_one() {
        let (ours, peer) = (samples(&[2.0, 40.0, 3.0]), samples(&[1.0, 20.0, 2.0]));
        assert!((ours.ratio_of_pairs(&peer) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_over_the_limit_is_missed_and_no_figures_are_missed_too() {
        assert!(Finding::ratio("", &samples(&[1.0]), &samples(&[1.0]), 1.0).met);
        assert!(!Finding::ratio("", &samples(&[1.2]), &samples(&[1.0]), 1.1).met);
        assert!(!Finding::ratio("", &samples(&[]), &samples(&[]), 1.1).met);
    }
}
