//! Who a login is: uid, gid, groups, home.
//!
//! One source so far: a YAML file, for tests, demonstrations and small sites. NSS and LDAP follow behind the same trait.

mod accounts;
mod file;

pub use accounts::{Invalid, Problem};
pub use file::{Error, FileDirectory};
