//! The platform as a whole: a real `essaim`, a real Swarm of three engines, stock `kubectl`.
//!
//! The site is that of `cargo xtask testbed up`; a test that finds none fails and says so. Each test has a platform of its own in a directory
//! of its own, and servers whose names no other test uses. Tests that hurt machines run apart from the others (see `fixture::stage_alone`).
//! Those of the API alone, such as `fire`, `several` and `clients`, need no site.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod backup;
mod clients;
mod drift;
mod faults;
mod fire;
mod fixture;
mod gateway;
mod kills;
mod kube_rs;
mod kubectl;
mod overlay;
mod refusals;
mod several;
mod tour;
