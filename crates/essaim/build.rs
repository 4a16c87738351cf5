//! How the program is linked.

use std::env;

#[expect(clippy::disallowed_methods, reason = "a build script is told about its target by the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Two megabytes of relocations, which every start would read, shrink to some kilobytes. Needs glibc 2.36 (Debian 12).
    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
