//! What the outside systems look like from here: what can be seen, what can be done, one trait each.
//!
//! Pure data and traits. The crates that implement them (`essaim-swarm`, `essaim-directory`) look and act and never decide;
//! `essaim-plan` decides and never looks or acts.

pub mod directory;
pub mod swarm;
