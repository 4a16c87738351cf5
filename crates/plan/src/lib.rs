//! Pure decisions: what is wanted, what was observed and the time go in; actions, conditions and the next wake-up come out.
//!
//! Invariant: nothing here waits, looks, reads a clock or the environment. The same input gives the same plan, so a plan can be
//! recorded, tested as a table, and shown to an operator before it is carried out.

pub mod key;
pub mod notebook;
pub mod template;
