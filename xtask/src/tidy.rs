//! `cargo xtask tidy`: the house rules that a machine can check. Each finding names the file and the rule's reason.

mod dependencies;
mod documents;
mod layers;
mod sources;

use crate::error::Error;

/// Checks every rule and tells all findings at once.
///
/// # Errors
/// [`Error::Untidy`] with the findings, or a file or `cargo metadata` that cannot be read.
pub fn run() -> Result<(), Error> {
    let mut findings = layers::findings()?;
    findings.extend(sources::findings()?);
    findings.extend(documents::findings()?);
    findings.extend(dependencies::findings()?);
    if findings.is_empty() { Ok(()) } else { Err(Error::Untidy(findings)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        super::run().unwrap();
    }
}
