//! The resource types of the platform: what people may write, what essaim reports, and how every name is spelled.
//!
//! These types are the source of the CustomResourceDefinitions in `crds/`; the comments on their fields are the
//! descriptions that `kubectl explain` shows, so they speak to users.

mod class;
mod conditions;
mod crds;
pub mod names;
mod quantity;
mod server;

pub use class::{
    CpuBounds, MemoryBounds, Mount, NotebookClass, NotebookClassSpec, NotebookImage, Propagation, ResourceBounds,
    UpdateStrategy,
};
pub use conditions::{find_condition, merge_conditions};
pub use crds::definitions;
pub use quantity::{Cpu, Memory, QuantityError};
pub use server::{Addresses, EnvVar, NotebookServer, NotebookServerSpec, NotebookServerStatus};
