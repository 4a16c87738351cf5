//! Python for tests that bring their own packages: Debian splits what `python3 -m venv` needs into a package of its own.

use crate::debian;
use crate::error::Error;
use crate::program::Program;

/// Makes sure that virtual environments can be made.
///
/// # Errors
/// The package could not be installed.
pub fn ensure() -> Result<(), Error> {
    if Program::new("python3").args(["-c", "import venv, ensurepip"]).succeeds()? {
        return Ok(());
    }
    debian::install(&["python3-venv"])
}
