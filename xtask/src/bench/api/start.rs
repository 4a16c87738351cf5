//! How long a start takes over a full store: wall clock until `/readyz` says yes, and the processor time of the process until then, which
//! is what remains comparable where others use the machine too.

use std::fs;
use std::time::Duration;

use crate::bench::figures::{Aim, Finding, median, timed};
use crate::error::Error;
use crate::platform::Platform;
use crate::program::Program;
use crate::progress::say;
use crate::wait;

/// So many starts; the figures are their medians.
const STARTS: usize = 7;
const LIMIT: Duration = Duration::from_mins(1);
/// The kernel counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// Stops it and starts it again, several times.
pub(super) fn run(platform: &mut Platform, objects: usize) -> Result<Vec<Finding>, Error> {
    let (mut times, mut processor) = (Vec::new(), Vec::new());
    for number in 1..=STARTS {
        say(&format!("start {number} of {STARTS} with {objects} objects"));
        platform.stop()?;
        let (ready, time) = timed(|| {
            platform.launch(&[])?;
            until_ready(platform)
        });
        ready?;
        times.push(time.as_secs_f64());
        processor.push(processor_seconds(platform.pid().ok_or_else(|| Error::Claim("essaim has ended".into()))?)?);
    }
    let what = format!("start with {objects} objects, until ready");
    Ok(vec![
        Finding::figure(&what, median(&times), "s", "–", Aim::AtMost(2.0)),
        Finding::figure(&format!("{what}: processor time"), median(&processor), "s", "–", Aim::None),
    ])
}

fn until_ready(platform: &Platform) -> Result<(), Error> {
    let authority = platform.certificate_authority();
    let address = format!("https://{}/readyz", platform.api());
    wait::until("the API to be ready", LIMIT, &platform.log().display(), || {
        let answered =
            Program::new("curl").args(["--silent", "--fail", "--cacert"]).args([&authority]).args([&address]);
        Ok(answered.succeeds()?.then_some(()))
    })
}

/// What a process used so far, in its own name and in the kernel's.
fn processor_seconds(pid: u32) -> Result<f64, Error> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    // The second field is a name in brackets, and may hold anything.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok((user + system) / TICKS),
        _ => Err(Error::Claim(format!("{path} does not tell the processor time"))),
    }
}
