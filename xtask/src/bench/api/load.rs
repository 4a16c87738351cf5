//! One load by `wrk`, and what it says of it.

use std::time::Duration;

use crate::error::Error;
use crate::program::Program;
use crate::repository;

/// How to reach the server.
pub(super) struct Wrk<'a> {
    pub(super) server: &'a str,
    pub(super) token: String,
}

/// What to ask, and how hard.
pub(super) struct Load<'a> {
    /// In `deploy/bench/api`.
    pub(super) script: &'a str,
    /// The script's own, before the token.
    pub(super) arguments: &'a [&'a str],
    pub(super) path: &'a str,
    pub(super) clients: usize,
    pub(super) period: Duration,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Wrk<'_> {
    /// Runs the load from one thread: the other core is the server's.
    ///
    /// # Errors
    /// `wrk` failed, or an answer was no success.
    pub(super) fn run(&self, load: &Load<'_>) -> Result<Outcome, Error> {
        let seconds = load.period.as_secs();
        let script = repository::root().join("deploy/bench/api").join(load.script);
        let wrk = Program::new("wrk").args(["--threads", "1", "--latency", "--timeout", "20s"]);
        let wrk =
            wrk.args(["--connections", &load.clients.to_string(), "--duration", &format!("{seconds}s"), "--script"]);
        let wrk = wrk.args([script]).args([format!("https://{}{}", self.server, load.path)]).args(["--"]);
        let said = wrk.args(load.arguments).args([&self.token]).limit(load.period + Duration::from_secs(30)).text()?;
        read(&said).ok_or_else(|| Error::Claim(format!("wrk was not answered well: {said}")))
    }
}

/// Reads the report; nothing if some answers were failures.
fn read(said: &str) -> Option<Outcome> {
    let after = |label: &str| said.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return None;
    }
    Some(Outcome {
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

/// `831.00us`, `1.24ms`, `2.05s`, `1.02m`.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(char::is_alphabetic)?);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 8s test\n  Latency Distribution\n     50%  500.00us\n     75%    1.10ms\n     90%    2.00ms\n     99%    1.24s \n  \
                          8000 requests in 8.00s, 10.00MB read\nRequests/sec:   1000.25\nTransfer/sec:      1.25MB\n";

    #[test]
    fn a_report_is_read_and_failures_are_no_figures() {
        assert_eq!(read(REPORT), Some(Outcome { per_second: 1000.25, p50_ms: 0.5, p99_ms: 1240.0 }));
        assert_eq!(read(&format!("{REPORT}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(read(&format!("{REPORT}  Socket errors: connect 0, read 3, write 0, timeout 0\n")), None);
    }
}
