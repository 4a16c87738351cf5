//! What every test stands on: the site, a platform, small manifests, bounded waits.

use std::{
    fs::File,
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use xtask::{
    platform::{self, Options, Platform},
    testbed::{Site, directory_file},
};

/// Longer than anything here takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// A platform with the directory that its data lies in.
pub(crate) struct Stage {
    pub(crate) site: Site,
    pub(crate) essaim: Platform,
    folder: TempDir,
    // Shared by ordinary tests, exclusive for those that hurt machines; released when the test ends.
    _turn: File,
}

/// A platform on the site, beside other tests.
pub(crate) fn stage() -> Stage {
    stage_with(&[], false)
}

/// A platform on the site with nobody else at work: for tests that cut and kill machines.
pub(crate) fn stage_alone() -> Stage {
    stage_with(&[], true)
}

/// A platform with further arguments of `essaim serve`.
pub(crate) fn stage_with(arguments: &[&str], alone: bool) -> Stage {
    build_stage("127.0.0.1", arguments, alone)
}

/// The same on another address of this machine, such as the one that containers reach.
pub(crate) fn stage_on(host: &str, arguments: &[&str]) -> Stage {
    build_stage(host, arguments, false)
}

fn build_stage(host: &str, arguments: &[&str], alone: bool) -> Stage {
    let binary = binary();
    let turn = take_turn(alone);
    let site = Site::attach().expect("these tests need the site: cargo xtask testbed up");
    let folder = tempfile::tempdir().unwrap();
    let options = options(binary, &site, arguments);
    let essaim = Platform::start_on(host, options, folder.path()).unwrap();
    let stage = Stage { site, essaim, folder, _turn: turn };
    stage.essaim.apply(FAKE_CLASS).unwrap();
    for login in ["alice", "bob"] {
        stage.essaim.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {login}}}}}")).unwrap();
    }
    stage
}

/// The site beside other tests, for one that starts the platform itself.
pub(crate) struct Guest {
    pub(crate) binary: PathBuf,
    pub(crate) site: Site,
    _turn: File,
}

/// Takes a turn on the site without a platform.
pub(crate) fn guest() -> Guest {
    let (binary, turn) = (binary(), take_turn(false));
    let site = Site::attach().expect("these tests need the site: cargo xtask testbed up");
    Guest { binary, site, _turn: turn }
}

/// A platform without a Swarm, for what the API alone can show. It knows alice's account.
pub(crate) fn api_alone(folder: &std::path::Path) -> Platform {
    api_with(folder, &[])
}

/// The same with further arguments.
pub(crate) fn api_with(folder: &std::path::Path, arguments: &[&str]) -> Platform {
    std::fs::create_dir_all(folder).unwrap();
    let directory = folder.join("directory.yaml");
    std::fs::write(&directory, "users: [{login: alice, uid: 5001, gid: 5100, groups: [], home: /home/alice}]\n")
        .unwrap();
    let (binary, swarm) = (binary(), "off".to_owned());
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let options = Options { binary, swarm, directory, logins: vec!["alice".into()], arguments };
    Platform::start(options, folder).unwrap()
}

fn options(binary: PathBuf, site: &Site, arguments: &[&str]) -> Options {
    Options {
        binary,
        swarm: site.docker_host().to_owned(),
        directory: directory_file(),
        logins: vec!["alice".into(), "bob".into()],
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    }
}

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| platform::build(false).unwrap()).clone()
}

fn take_turn(alone: bool) -> File {
    let path = std::env::temp_dir().join("essaim-tests-turn.lock");
    let file = File::options().create(true).append(true).open(path).unwrap();
    if alone {
        file.lock().unwrap();
    } else {
        file.lock_shared().unwrap();
    }
    file
}

impl Stage {
    /// Where the test may put files.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Applies a server of the fake class for alice; `spec` is YAML in braces, such as `{memory: 64Mi}`.
    pub(crate) fn server(&self, name: &str, spec: &str) {
        self.essaim.apply(&Self::manifest(name, spec)).unwrap();
    }

    /// The manifest of such a server.
    pub(crate) fn manifest(name: &str, spec: &str) -> String {
        format!(
            "apiVersion: essaim.dev/v1alpha1\nkind: NotebookServer\nmetadata: {{name: {name}, namespace: alice}}\nspec: {spec}\n"
        )
    }

    /// The server of alice as it stands.
    pub(crate) fn get(&self, name: &str) -> Value {
        self.essaim.kubectl_json(&["get", "nbs", name, "-n", "alice"]).unwrap()
    }

    /// Waits until a condition of the server has this status and reason, and gives its message.
    pub(crate) fn wait_for(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let what = format!("{name}: {kind}={status} {reason}");
        wait_until(&what, || {
            let found = condition(&self.get(name), kind)?;
            (found["status"] == status && found["reason"] == reason)
                .then(|| found["message"].as_str().unwrap().to_owned())
        })
    }

    /// Waits until the server is Ready.
    pub(crate) fn wait_ready(&self, name: &str) {
        self.wait_for(name, "Ready", "True", "Serving");
    }

    /// Names of the Swarm services of the server of alice.
    pub(crate) fn services(&self, name: &str) -> Vec<String> {
        let filter = format!("label=essaim.dev/owner-name={name}");
        let text = self.site.docker(&["service", "ls", "--filter", &filter, "--format", "{{.Name}}"]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Running containers of the server, over all machines that can be asked.
    pub(crate) fn containers(&self, name: &str) -> Vec<String> {
        let filter = format!("label=essaim.dev/owner-name={name}");
        let nodes = self.site.nodes().unwrap();
        let listed =
            nodes.iter().map(|node| self.site.docker_on(&node.name, &["ps", "--quiet", "--filter", &filter]).unwrap());
        listed.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// All that the engines tell of the server's running containers.
    pub(crate) fn container_details(&self, name: &str) -> String {
        let filter = format!("label=essaim.dev/owner-name={name}");
        let nodes = self.site.nodes().unwrap();
        let details = nodes.iter().map(|node| {
            let ids = self.site.docker_on(&node.name, &["ps", "--quiet", "--filter", &filter]).unwrap();
            let of = |id| self.site.docker_on(&node.name, &["container", "inspect", id]).unwrap();
            ids.lines().map(of).collect::<String>()
        });
        details.collect()
    }

    /// What is left on the Swarm of the server.
    pub(crate) fn leftovers(&self, name: &str) -> Vec<String> {
        let mut left = self.services(name);
        let filter = format!("label=essaim.dev/owner-name={name}");
        let secrets = self.site.docker(&["secret", "ls", "--filter", &filter, "--format", "{{.Name}}"]).unwrap();
        left.extend(secrets.lines().map(str::to_owned));
        left.extend(self.containers(name));
        left
    }

    /// Deletes the server and makes sure that nothing of it is left.
    pub(crate) fn delete(&self, name: &str) {
        self.essaim.kubectl(&["delete", "nbs", name, "-n", "alice", "--timeout=90s"]).unwrap();
        assert_eq!(self.leftovers(name), Vec::<String>::new(), "{name} left something behind");
    }

    /// `docker service inspect` of a service that exists.
    pub(crate) fn inspect(&self, service: &str) -> Value {
        self.try_inspect(service).unwrap()
    }

    /// The same, or nothing while there is no such service.
    pub(crate) fn try_inspect(&self, service: &str) -> Option<Value> {
        let text = self.site.docker(&["service", "inspect", service]).ok()?;
        Some(serde_json::from_str::<Value>(&text).unwrap()[0].clone())
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static std::path::Path {
    std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The path of an example, or of a folder of them.
pub(crate) fn example(name: &str) -> String {
    root().join("examples").join(name).display().to_string()
}

/// A condition of an object, if it is reported.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// Looks again and again until something is found; fails after [`LIMIT`].
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < end, "waited {LIMIT:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A bound for the ordinary run, and the full count that `cargo xtask test --soak` asks for.
#[expect(clippy::disallowed_methods, reason = "the one switch of the tests, read in one place")]
pub(crate) fn soak(bounded: u64, full: u64) -> u64 {
    if std::env::var("ESSAIM_SOAK").is_ok_and(|value| value == "1") { full } else { bounded }
}

#[expect(clippy::disallowed_methods, reason = "bounded waits of tests run in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A class whose servers start in an instant: static busybox that answers like Jupyter's `/api`.
///
/// `exit` in the home of the server's container ends it with the code written there.
pub(crate) const FAKE_CLASS: &str = r#"
apiVersion: essaim.dev/v1alpha1
kind: NotebookClass
metadata: {name: fake}
spec:
  description: Answers like Jupyter, starts in an instant.
  images:
    - name: busybox
      image: essaim/busybox:testbed
      command:
        - /bin/sh
        - -c
        - |
          for argument; do case "$argument" in --ServerApp.base_url=*) base="${argument#*=}";; esac; done
          mkdir -p "/tmp/www$base" && echo '{"version": "fake"}' > "/tmp/www${base}api"
          httpd -p 8888 -h /tmp/www
          while :; do [ -f /tmp/exit ] && exit "$(cat /tmp/exit)"; sleep 0.2; done
        - fake
    - {name: absent, image: "essaim/no-such-image:testbed"}
    - {name: broken, image: "essaim/busybox:testbed", command: [/bin/sh, -c, "exit 3"]}
  resources:
    memory: {default: 64Mi, max: 1Ti}
"#;
