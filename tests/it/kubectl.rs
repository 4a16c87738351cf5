//! What people type: every stock `kubectl` of this machine, against the API alone (no Swarm, no container).
//!
//! Each version gets a platform of its own and goes through the same tables of commands, words that must be said, and exit codes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;
use xtask::{kubectl, platform::Platform};

use crate::fixture::{api_alone, example, root, wait_until};

/// Versions at work at once: each command is mostly start-up of kubectl itself.
const AT_ONCE: usize = 2;
const COLUMNS: [&str; 7] = ["NAME", "READY", "REASON", "CLASS", "MEMORY", "NODE", "AGE"];

#[test]
fn every_stock_kubectl_does_its_daily_work() {
    let versions = Mutex::new(kubectl::every().unwrap());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(binary) = { versions.lock().unwrap().pop() } {
                    Client::new(binary).go_through_everything();
                }
            });
        }
    });
}

#[test]
fn examples_are_accepted() {
    let client = Client::new(kubectl::ensure().unwrap());
    client.says("create namespace alice", &["created"]);
    let examples = manifests(&root().join("examples"));
    assert!(examples.len() >= 3, "the examples are gone: {examples:?}");
    for path in examples {
        let path = path.to_str().unwrap();
        client.says_to(
            &["apply", "--server-side", "--dry-run=server", "-f", path],
            &["serverside-applied (server dry run)"],
        );
    }
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { manifests(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect()
}

/// One version of kubectl, its platform, and a directory for its files.
struct Client {
    binary: PathBuf,
    essaim: Platform,
    folder: TempDir,
}

impl Client {
    fn new(binary: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { binary, essaim: api_alone(folder.path()), folder }
    }

    fn go_through_everything(&self) {
        self.apply();
        self.get();
        self.watch();
        self.describe_and_explain();
        self.change();
        self.manage_fields();
        self.edit_and_replace();
        self.create_builtin_kinds();
        self.ask_for_rights();
        self.delete();
    }

    fn apply(&self) {
        let examples = example("first-notebook/");
        self.says_to(
            &["apply", "--dry-run=server", "-f", &example("first-notebook/1-class.yaml")],
            &["created (server dry run)"],
        );
        self.refuses("get nbc small", &["\"small\" not found"]);
        let apply = ["apply", "-f", &examples];
        self.says_to(
            &apply,
            &[
                "notebookclass.essaim.dev/small created",
                "namespace/alice created",
                "notebookserver.essaim.dev/lab created",
            ],
        );
        wait_until("the first report", || (self.field("{.status.conditions[0].reason}") == "SwarmOff").then_some(()));
        let version = || self.field("{.metadata.resourceVersion}");
        let before = version();
        self.says_to(&apply, &["namespace/alice unchanged", "notebookserver.essaim.dev/lab unchanged"]);
        assert_eq!(version(), before, "{self}: applying the same again wrote");
        self.says_to(
            &["apply", "--server-side", "-f", &examples],
            &["notebookserver.essaim.dev/lab serverside-applied"],
        );
        let before = version();
        self.says_to(
            &["apply", "--server-side", "-f", &examples],
            &["notebookserver.essaim.dev/lab serverside-applied"],
        );
        assert_eq!(version(), before, "{self}: applying the same again wrote");

        let unknown = self.variant("class: small", "class: small\n  memry: 1Gi");
        self.refuses_to(&["apply", "-f", &unknown], &["unknown field \"spec.memry\""]);
        self.refuses_to(&["apply", "--server-side", "-f", &unknown], &[".spec.memry"]);
    }

    fn get(&self) {
        let header = |call: &str| -> Vec<String> {
            first_line(&self.says(call, &["lab"])).split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(header("get nbs -n alice"), COLUMNS, "{self}");
        assert_eq!(
            header("get nbs -n alice -o wide"),
            [&COLUMNS[..], &["URL", "RESTARTS", "MESSAGE"]].concat(),
            "{self}"
        );
        assert_eq!(header("get nbs -A"), [&["NAMESPACE"], &COLUMNS[..]].concat(), "{self}");
        let json: Value = serde_json::from_str(&self.says("get nbs lab -n alice -o json", &[])).unwrap();
        assert_eq!((&json["kind"], &json["metadata"]["name"]), (&"NotebookServer".into(), &"lab".into()));
        self.table(&[
            ("get nbs lab -n alice -o yaml", &["kind: NotebookServer", "reason: SwarmOff"]),
            ("get nbs -n alice -o name", &["notebookserver.essaim.dev/lab"]),
            ("get nbs lab -n alice -o jsonpath={.spec.env[0].value}", &["bonjour"]),
            ("get nbs -A -o custom-columns=WHO:.metadata.namespace,WHAT:.spec.class", &["WHO     WHAT\nalice   small"]),
            ("get nbs -A --sort-by=.metadata.name", &["SwarmOff"]),
            ("get nbs -A --field-selector metadata.name=lab", &["lab"]),
            ("get nbs -A --field-selector metadata.name=other", &["No resources found"]),
            ("get nbs,nbc -n alice", &["notebookserver.essaim.dev/lab", "notebookclass.essaim.dev/small"]),
            ("get essaim -A", &["notebookserver.essaim.dev/lab", "notebookclass.essaim.dev/small"]),
            ("get all -n alice", &["lab"]),
            ("get nbs -n nowhere", &["No resources found in nowhere namespace"]),
            ("get nbc", &["IMAGES", "python", "4Gi"]),
            ("get ns --chunk-size=1", &["alice", "default", "essaim-system"]),
            ("api-resources --api-group=essaim.dev", &["nbs", "nbc", "notebookservers", "NotebookClass"]),
            ("api-resources", &["configmaps", "events.k8s.io/v1"]),
            ("version", &["Server Version"]),
        ]);
        self.refuses("get nbs -A --field-selector spec.class=small", &["field label not supported: spec.class"]);
        self.refuses("get nbs other -n alice", &["notebookservers.essaim.dev \"other\" not found"]);
    }

    fn watch(&self) {
        let seen = self.folder.path().join("watched");
        let mut command =
            self.command(&["get", "nbs", "-n", "alice", "-w", "--output-watch-events", "--request-timeout=3s"]);
        let mut watching = command.stdout(File::create(&seen).unwrap()).spawn().unwrap();
        let shown = || fs::read_to_string(&seen).unwrap();
        wait_until("the watch to begin", || shown().contains("ADDED").then_some(()));
        self.says("label nbs lab -n alice team=dune", &["labeled"]);
        wait_until("the change to be seen", || shown().contains("MODIFIED").then_some(()));
        assert!(watching.wait().unwrap().success(), "{self}: the watch did not end well at its time");
        assert_eq!(shown().matches("EVENT").count(), 1, "{self}: the header stands once: {}", shown());
    }

    fn describe_and_explain(&self) {
        self.table(&[
            ("describe nbs lab -n alice", &["Name:         lab", "Class:  small", "Events:", "Warning  SwarmOff"]),
            ("events -n alice", &["SwarmOff", "NotebookServer/lab"]),
            ("events -n alice --for NotebookServer/lab", &["SwarmOff"]),
            ("get events -n alice", &["notebookserver/lab"]),
            ("explain nbs.spec.memory", &["Memory limit of the container, within the bounds of the class"]),
            ("explain nbs --recursive", &["restartedAt\t<string>", "conditions\t<[]Object>"]),
            ("explain nbc.spec.placement", &["Labels that a Swarm node must carry"]),
        ]);
    }

    fn change(&self) {
        let merge = r#"patch nbs lab -n alice --type=merge -p {"spec":{"memory":"2Gi"}}"#;
        let test = r#"[{"op":"test","path":"/spec/memory","value":"2Gi"},{"op":"replace","path":"/spec/memory","value":"3Gi"}]"#;
        self.table(&[
            ("annotate nbs lab -n alice note=read", &["lab annotate"]),
            ("get nbs -A -l team=dune", &["lab"]),
            ("get nbs -A -l team!=dune", &["No resources found"]),
            ("get nbs -A -l team=dune,!other --show-labels", &["team=dune"]),
            (merge, &["patched"]),
            (merge, &["patched (no change)"]),
            (&format!("patch nbs lab -n alice --type=json -p {test}"), &["patched"]),
            ("wait nbs/lab -n alice --for=jsonpath={.spec.memory}=3Gi --timeout=10s", &["condition met"]),
            ("wait nbs/lab -n alice --for=condition=Ready=Unknown --timeout=10s", &["condition met"]),
        ]);
        self.refuses(&format!("patch nbs lab -n alice --type=json -p {test}"), &["request is invalid"]);
        let strategic = r#"patch nbs lab -n alice -p {"spec":{"memory":"2Gi"}}"#;
        self.refuses(
            strategic,
            &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"],
        );
        self.refuses("wait nbs/lab -n alice --for=condition=Ready --timeout=1s", &["timed out waiting"]);
        self.refuses("patch nbs lab -n alice --type=merge -p {\"spec\":{\"memory\":\"much\"}}", &["spec.memory"]);

        let changed = self.variant("bonjour", "salut");
        let diff = self.exits(1, &["diff", "-f", &changed]);
        assert!(diff.contains("-    value: bonjour") && diff.contains("+    value: salut"), "{self}: {diff}");
        let diff = self.exits(1, &["diff", "--server-side", "--force-conflicts", "-f", &changed]);
        assert!(diff.contains("+    value: salut"), "{self}: {diff}");
        assert_eq!(self.field("{.spec.env[0].value}"), "bonjour", "{self}: a diff wrote");
        self.says_to(&["diff", "-f", &example("first-notebook/1-class.yaml")], &[]);
    }

    fn manage_fields(&self) {
        let changed = self.variant("bonjour", "salut");
        let other = ["apply", "--server-side", "--field-manager=other", "-f", &changed];
        let words = ["Apply failed with 1 conflict", "conflict with \"kubectl\"", ".spec.env[name=\"GREETING\"].value"];
        self.refuses_to(&other, &words);
        self.says_to(&[&other[..], &["--force-conflicts"]].concat(), &["serverside-applied"]);
        self.says(
            "get nbs lab -n alice -o yaml --show-managed-fields",
            &["manager: other", "k:{\"name\":\"GREETING\"}:", "subresource: status"],
        );
    }

    fn edit_and_replace(&self) {
        let mut edit = self.command(&["edit", "nbs", "lab", "-n", "alice"]);
        let edited = finish(edit.env("EDITOR", "sed -i s/salut/guten-tag/"));
        assert_eq!(edited.0, Some(0), "{self}: {}", edited.1);
        assert_eq!(self.field("{.spec.env[0].value}"), "guten-tag", "{self}");

        let path = self.folder.path().join("replaced.json");
        let text = self.says("get nbs lab -n alice -o json", &[]);
        fs::write(&path, text.replace("guten-tag", "buenos-dias")).unwrap();
        let replace = ["replace", "-f", path.to_str().unwrap()];
        self.says_to(&replace, &["replaced"]);
        assert_eq!(self.field("{.spec.env[0].value}"), "buenos-dias", "{self}");
        fs::write(&path, text).unwrap();
        self.refuses_to(&replace, &["the object has been modified"]);
    }

    fn create_builtin_kinds(&self) {
        self.table(&[
            ("create namespace extra", &["namespace/extra created"]),
            ("create configmap settings -n extra --from-literal=a=b", &["configmap/settings created"]),
            ("create secret generic hidden -n extra --from-literal=a=b", &["secret/hidden created"]),
            ("get secret hidden -n extra -o jsonpath={.data.a}", &["Yg=="]),
            ("create serviceaccount robot -n extra", &["serviceaccount/robot created"]),
            (
                "create role looker -n extra --verb=get --resource=notebookservers",
                &["role.rbac.authorization.k8s.io/looker created"],
            ),
            ("create rolebinding looker -n extra --role=looker --user=bob", &["created"]),
            ("create clusterrole looker --verb=list --resource=notebookclasses", &["created"]),
            ("create clusterrolebinding looker --clusterrole=looker --user=bob", &["created"]),
            (r#"patch configmap settings -n extra -p {"data":{"c":"d"}}"#, &["patched"]),
            ("get configmap settings -n extra -o jsonpath={.data}", &[r#"{"a":"b","c":"d"}"#]),
        ]);
        self.refuses("create namespace extra", &["AlreadyExists"]);
    }

    fn ask_for_rights(&self) {
        self.table(&[
            ("auth can-i create nbs -n alice", &["yes"]),
            ("auth can-i --list -n alice", &["*.*"]),
            ("auth whoami", &["kubernetes-admin", "system:masters"]),
            ("auth can-i get nbs -n extra --as bob", &["yes"]),
        ]);
        self.refuses("auth can-i delete nbs -n extra --as bob", &["no"]);
        self.refuses(
            "get nbs -n alice --as bob",
            &["Forbidden", "User \"bob\" cannot list resource \"notebookservers\""],
        );
    }

    fn delete(&self) {
        self.table(&[
            (
                r#"patch nbs lab -n alice --type=merge -p {"metadata":{"finalizers":["example.org/hold"]}}"#,
                &["patched"],
            ),
            ("delete nbs lab -n alice --wait=false", &["deleted"]),
            ("get nbs lab -n alice -o yaml", &["deletionTimestamp:"]),
        ]);
        self.refuses("wait nbs/lab -n alice --for=delete --timeout=1s", &["timed out waiting"]);
        let mut waiting = self.command(&["wait", "nbs/lab", "-n", "alice", "--for=delete", "--timeout=60s"]);
        let mut waiting = waiting.stdout(Stdio::null()).spawn().unwrap();
        self.says(r#"patch nbs lab -n alice --type=merge -p {"metadata":{"finalizers":null}}"#, &["patched"]);
        assert!(waiting.wait().unwrap().success(), "{self}: the deletion was not noticed");
        self.refuses("get nbs lab -n alice", &["not found"]);
        self.table(&[
            ("wait nbs/lab -n alice --for=delete --timeout=10s", &[]),
            ("delete clusterrole,clusterrolebinding looker", &["clusterrole.rbac", "clusterrolebinding.rbac"]),
            ("delete configmap --all -n extra", &["\"settings\" deleted"]),
            ("delete namespace extra --timeout=60s", &["deleted"]),
            ("get secret -n extra", &["No resources found"]),
        ]);
        let again = ["delete", "--ignore-not-found", "--timeout=60s", "-f", &example("first-notebook/")];
        self.says_to(&again, &["namespace \"alice\" deleted"]);
        self.says("get nbs,nbc -A", &["No resources found"]);
    }

    /// Each call succeeds and says its words.
    fn table(&self, rows: &[(&str, &[&str])]) {
        for (call, words) in rows {
            self.says(call, words);
        }
    }

    /// The call, split at blanks, succeeds and says the words; gives back all that it said.
    fn says(&self, call: &str, words: &[&str]) -> String {
        self.says_to(&split(call), words)
    }

    fn says_to(&self, arguments: &[&str], words: &[&str]) -> String {
        self.expect(0, arguments, words)
    }

    /// The call fails and says the words.
    fn refuses(&self, call: &str, words: &[&str]) {
        self.refuses_to(&split(call), words);
    }

    fn refuses_to(&self, arguments: &[&str], words: &[&str]) {
        self.expect(1, arguments, words);
    }

    fn exits(&self, code: i32, arguments: &[&str]) -> String {
        self.expect(code, arguments, &[])
    }

    fn expect(&self, code: i32, arguments: &[&str], words: &[&str]) -> String {
        let (status, said) = finish(&mut self.command(arguments));
        assert_eq!(status, Some(code), "{self} {arguments:?} said\n{said}");
        for word in words {
            assert!(said.contains(word), "{self} {arguments:?} should say {word:?}, says\n{said}");
        }
        said
    }

    /// A field of alice's server, by its JSON path.
    fn field(&self, path: &str) -> String {
        self.says_to(&["get", "nbs", "lab", "-n", "alice", "-o", &format!("jsonpath={path}")], &[])
    }

    /// The example's server with a change, in a file.
    fn variant(&self, from: &str, to: &str) -> String {
        let text = fs::read_to_string(example("first-notebook/3-server.yaml")).unwrap();
        assert!(text.contains(from), "the example has no {from:?} any more");
        let path = self.folder.path().join("variant.yaml");
        fs::write(&path, text.replace(from, to)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// kubectl with a bound of its own, and with caches apart from the person's.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "90"]).arg(&self.binary).arg("--kubeconfig").arg(self.essaim.kubeconfig());
        command
            .args(arguments)
            .env("HOME", self.folder.path().join("home"))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.binary.file_name().unwrap_or_default().display())
    }
}

fn split(call: &str) -> Vec<&str> {
    call.split(' ').collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The exit code, and standard output followed by standard error.
fn finish(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}
