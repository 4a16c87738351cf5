//! The tour of the README, word for word: whoever types it gets what it promises.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use xtask::{kubectl, testbed::Site};

use crate::fixture::{guest, root, wait_until};

const FENCE: &str = "```sh tour";
/// The tour waits at most two minutes at a time, and in all it takes some twenty seconds.
const LIMIT_SECONDS: &str = "300";

#[test]
fn the_tour_of_the_readme_works_as_written() {
    let blocks = blocks(&fs::read_to_string(root().join("README.md")).unwrap());
    assert!(blocks.len() >= 5, "the README's blocks marked {FENCE:?} are gone");
    let guest = guest();
    let cleanup = Cleanup { site: &guest.site };
    cleanup.remove(); // what an interrupted run may have left
    let folder = tempfile::tempdir().unwrap();
    let (success, at, said) = run(&guest.binary, &folder, &blocks);
    let block = blocks.get(at.wrapping_sub(1)).map_or("none", String::as_str);
    assert!(success, "block {at} of the tour failed:\n{block}\n--- all that was said:\n{said}");
    assert_eq!(at, blocks.len(), "the tour ended early, in\n{block}\n--- all that was said:\n{said}");
    let left: Vec<_> = fs::read_dir(folder.path().join("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "the tour left files behind");
    wait_until("the tour's containers to go", || cleanup.left().is_empty().then_some(()));
}

#[test]
fn a_tour_stops_at_the_block_that_fails_and_tells_what_it_said() {
    let readme = "Text.\n\n```sh tour\nNAME=alice\n```\n\n```sh\nexit 9\n```\n\n```sh tour\necho bonjour $NAME\nfalse\n```\n\n```sh tour\necho more\n```\n";
    let blocks = blocks(readme);
    assert_eq!(blocks.len(), 3);
    let outcome = run(Path::new("/bin/true"), &tempfile::tempdir().unwrap(), &blocks);
    assert_eq!(outcome, (false, 2, "bonjour alice\n".to_owned()));
}

/// The contents of the README's blocks, in their order.
fn blocks(readme: &str) -> Vec<String> {
    let opening = format!("\n{FENCE}\n");
    let parts = readme.split(opening.as_str()).skip(1);
    parts.map(|part| part.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// One script from all blocks; says whether it succeeded, which block it came to, and what it said.
fn run(binary: &Path, folder: &TempDir, blocks: &[String]) -> (bool, usize, String) {
    let folder = folder.path();
    let (script, reached, said) = (folder.join("tour.sh"), folder.join("reached"), folder.join("said"));
    let mut file = fs::File::create(&script).unwrap();
    for (index, block) in blocks.iter().enumerate() {
        writeln!(file, "echo {} > '{}'\n{block}", index + 1, reached.display()).unwrap();
    }
    for name in ["bin", "tmp", "home"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    symlink(kubectl::ensure().unwrap(), folder.join("bin/kubectl")).unwrap();
    let output = fs::File::create(&said).unwrap();
    let status = Command::new("timeout")
        .args([LIMIT_SECONDS, "sh", "-e"])
        .arg(&script)
        .current_dir(root())
        .env("PATH", path(&folder.join("bin"), binary))
        .env("TMPDIR", folder.join("tmp"))
        .env("HOME", folder.join("home"))
        .env("API", free_address())
        .env("GATEWAY", free_address())
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .status()
        .unwrap();
    let at = fs::read_to_string(&reached).unwrap_or_default().trim().parse().unwrap_or(0);
    (status.success(), at, fs::read_to_string(&said).unwrap())
}

/// Our kubectl before any other, then the binary that was built, then what the machine has.
#[expect(clippy::disallowed_methods, reason = "the tour runs in the tester's own environment, as a reader's would")]
fn path(first: &Path, binary: &Path) -> std::ffi::OsString {
    let machine = std::env::var("PATH").unwrap();
    let folders = [first.to_owned(), binary.parent().unwrap().to_owned()];
    std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&machine))).unwrap()
}

fn free_address() -> String {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string()
}

/// Takes away what the tour's server leaves on the Swarm when the tour stops half-way.
struct Cleanup<'a> {
    site: &'a Site,
}

impl Cleanup<'_> {
    const OWNER: [&'static str; 2] = ["--filter", "label=essaim.dev/owner-name=lab"];

    fn list(&self, kind: &str) -> Vec<String> {
        let text = self.site.docker(&[&[kind, "ls", "--quiet"], &Self::OWNER[..]].concat()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Identifiers of services, secrets and running containers.
    fn left(&self) -> Vec<String> {
        let nodes = self.site.nodes().unwrap();
        let containers = nodes.iter().flat_map(|node| {
            let text = self.site.docker_on(&node.name, &[&["ps", "--quiet"], &Self::OWNER[..]].concat()).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        self.list("service").into_iter().chain(self.list("secret")).chain(containers).collect()
    }

    fn remove(&self) {
        for kind in ["service", "secret"] {
            for id in self.list(kind) {
                self.site.docker(&[kind, "rm", &id]).unwrap();
            }
        }
    }
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
