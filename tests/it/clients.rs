//! What programs say: the stock Python and JavaScript clients, unmodified, against the API alone (no Swarm, no container).
//!
//! The scripts stand in `tests/clients`: each is one client, and says by itself what it proves and at which step it failed. Here each gets a
//! platform of its own. The clients are installed once, as the pinned files say, into `target/clients`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::fixture::{api_alone, root};

/// A script ends by itself within a minute; this is for one that does not.
const SCRIPT_SECONDS: u32 = 90;
/// To fetch and unpack everything over a slow line.
const INSTALL_SECONDS: u32 = 900;

#[test]
fn the_official_python_client_works() {
    python("official.py");
}

#[test]
fn kr8s_works() {
    python("kr8s_client.py");
}

#[test]
fn a_kopf_operator_works_and_falls_silent() {
    python("kopf_operator.py");
}

#[test]
fn lightkube_works() {
    python("lightkube_client.py");
}

#[test]
fn the_official_javascript_client_works() {
    let folder = environment("javascript", &["requirements.txt", "package.json", "package-lock.json"], |folder| {
        pip(folder, "javascript", &["--requirement", "requirements.txt"]);
        for pinned in ["package.json", "package-lock.json"] {
            fs::copy(clients().join("javascript").join(pinned), folder.join(pinned)).unwrap();
        }
        let mut npm = bounded(INSTALL_SECONDS, &folder.join("bin/npm"));
        // npm itself asks for `node` by its name.
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.join("bin").display());
        succeed(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder).env("PATH", path));
    });
    // Node looks for packages from where the importing file stands.
    for file in ["javascript/client.mjs", "javascript/stage.mjs", "gadget.yaml"] {
        fs::copy(clients().join(file), installed().join(file)).unwrap();
    }
    let script = folder.join("client.mjs");
    run(&folder.join("bin/node"), &script);
}

/// Goes through a script of `tests/clients/python`.
fn python(script: &str) {
    let folder = environment("python", &["requirements.txt", "constraints.txt"], |folder| {
        pip(folder, "python", &["--requirement", "requirements.txt", "--constraint", "constraints.txt"]);
    });
    run(&folder.join("bin/python3"), &clients().join("python").join(script));
}

/// Runs a script on a platform of its own, in a namespace that is named as it is.
fn run(interpreter: &Path, script: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let essaim = api_alone(folder.path());
    let name = script.file_stem().unwrap().to_str().unwrap().replace('_', "-");
    let mut command = bounded(SCRIPT_SECONDS, interpreter);
    command.arg(script).arg(name).env("KUBECONFIG", essaim.kubeconfig());
    // Caches and settings of the person stay out of it, and so does a proxy.
    command.env("HOME", folder.path()).env("TMPDIR", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let said = succeed(&mut command);
    assert!(said.lines().filter(|line| line.starts_with("ok ")).count() > 5, "hardly a step was done:\n{said}");
}

/// The folder of a Python environment that has what the pinned files say.
fn environment(name: &str, pinned: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let texts = pinned.iter().map(|file| fs::read_to_string(clients().join(name).join(file)).unwrap());
    let wanted: String = texts.collect();
    // The interpreter is a link to the machine's: an upgrade of that may leave it without an end.
    kept(name, "bin/python3", &wanted, |folder| {
        xtask::python::ensure().unwrap();
        succeed(bounded(INSTALL_SECONDS, Path::new("python3")).args(["-m", "venv"]).arg(folder));
        install(folder);
    })
}

/// A folder of `target/clients` that was made for what is wanted; made anew when that changed or this file of it is not there.
pub(crate) fn kept(name: &str, file: &str, wanted: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = installed().join(name);
    fs::create_dir_all(installed()).unwrap();
    // One test makes it, the others wait, be they of this run or of another.
    let lock = File::options().create(true).append(true).open(folder.with_added_extension("lock")).unwrap();
    lock.lock().unwrap();
    let record = folder.join("installed.txt");
    let is_current = folder.join(file).exists() && fs::read_to_string(&record).is_ok_and(|it| it == wanted);
    if !is_current {
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        make(&folder);
        fs::write(record, wanted).unwrap();
    }
    folder
}

/// Installs Python packages into an environment, from pinned files of `tests/clients`.
fn pip(folder: &Path, of: &str, arguments: &[&str]) {
    let mut pip = bounded(INSTALL_SECONDS, &folder.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(arguments);
    succeed(pip.current_dir(clients().join(of)));
}

/// Gives what the command said; fails with all of it if the command does.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    said
}

/// A program that is ended at its limit, with its children.
pub(crate) fn bounded(seconds: u32, program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &seconds.to_string()]).arg(program);
    command
}

fn clients() -> PathBuf {
    root().join("tests/clients")
}

pub(crate) fn installed() -> PathBuf {
    root().join("target/clients")
}
