//! The way from a person to a real Jupyter: who gets in, what is told to the others, and what outlives a restart of essaim.

use serde_json::Value;
use xtask::{
    jupyter::{Answer, Caller},
    platform::token,
};

use crate::fixture::{Stage, example, stage, wait_until};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Tells who the kernel is, and where the notebook's token can be seen from inside.
const WHO: &str = "
import glob, json, os, socket
def read(path):
    try:
        return open(path, 'rb').read().decode(errors='replace')
    except OSError:
        return ''
secret = read('/run/secrets/jupyter-token').strip()
print(json.dumps({
    'answer': 6 * 7, 'uid': os.getuid(), 'gid': os.getgid(), 'groups': os.getgroups(),
    'hostname': socket.gethostname(), 'home': os.environ['HOME'], 'secret': secret,
    'looked': len([path for path in glob.glob('/proc/[0-9]*/environ') if 'JUPYTER_TOKEN_FILE' in read(path)]),
    'environ': [path for path in glob.glob('/proc/[0-9]*/environ') if secret in read(path)],
    'argv': [path for path in glob.glob('/proc/[0-9]*/cmdline') if secret in read(path)],
}))
";

#[test]
fn a_cell_runs_as_its_user_and_the_token_shows_nowhere() {
    let stage = stage();
    let base = lab(&stage, "identity");
    let printed = program(&stage, "alice").run_cell(&base, WHO).unwrap();
    let who: Value = serde_json::from_str(printed.trim()).unwrap();
    assert_eq!(who["answer"], 42);
    assert_eq!((&who["uid"], &who["gid"]), (&5001.into(), &5100.into()), "{who}");
    assert!(who["groups"].as_array().unwrap().contains(&5200.into()), "{who}");
    assert_eq!((&who["hostname"], &who["home"]), (&"jns-alice".into(), &"/pbs/home/a/alice".into()), "{who}");

    let secret = who["secret"].as_str().unwrap();
    assert!(secret.len() >= 32, "the container has no token of its own: {who}");
    assert!(
        who["looked"].as_u64().unwrap() >= 2,
        "the environments of Jupyter and the kernel could not be read: {who}"
    );
    assert_eq!((&who["environ"], &who["argv"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{who}");
    assert!(!stage.inspect("jns-alice_identity").to_string().contains(secret), "the service shows the token");
    assert!(!stage.container_details("identity").contains(secret), "the container shows the token");
    stage.delete("identity");
}

#[test]
fn only_who_may_gets_in_and_the_others_learn_nothing() {
    let stage = stage();
    let base = lab(&stage, "private");
    let status = format!("{base}api/status");
    let alice = program(&stage, "alice");
    assert_eq!(alice.request("GET", &status, "").unwrap().status, 200);

    let nobody = Caller { authorization: None, ..alice.clone() };
    assert_eq!(nobody.request("GET", &status, "").unwrap().status, 401);
    let wrong = Caller { authorization: Some("token no-such-token".into()), ..alice.clone() };
    assert_eq!(wrong.request("GET", &status, "").unwrap().status, 401);
    let browser = Caller { accept: "text/html", ..nobody.clone() }.request("GET", &status, "").unwrap();
    assert_eq!((browser.status, header(&browser, "location")), (303, format!("/login?next={status}")));

    let bob = program(&stage, "bob");
    let there = bob.request("GET", &status, "").unwrap();
    let not_there = bob.request("GET", "/user/alice/no-such-server/api/status", "").unwrap();
    assert_eq!(there.status, 403);
    assert_eq!((there.status, &there.body), (not_there.status, &not_there.body), "bob can tell what alice has");
    assert!(alice.request("GET", "/user/alice/no-such-server/api/status", "").unwrap().status == 404);
    stage.delete("private");
}

#[test]
fn a_session_opens_http_and_websockets_to_pages_of_this_site_only() {
    let stage = stage();
    let base = lab(&stage, "session");
    let nobody = Caller { authorization: None, ..program(&stage, "alice") };
    let login = |secret: &str| {
        nobody.request_with("POST", "/login", &[FORM], &format!("token={secret}&next={base}lab")).unwrap()
    };
    assert_eq!(login("no-such-token").status, 401);
    let answer = login(&token("alice"));
    assert_eq!((answer.status, header(&answer, "location")), (303, format!("{base}lab")), "{}", answer.body);
    let cookie = header(&answer, "set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

    let alice = Caller { cookie: Some(cookie.split(';').next().unwrap().to_owned()), ..nobody };
    assert_eq!(alice.request("GET", &format!("{base}api/status"), "").unwrap().status, 200);
    let page = Caller { accept: "text/html", ..alice.clone() }.request("GET", &format!("{base}lab"), "").unwrap();
    assert!(page.status == 200 && page.body.contains("<title>JupyterLab</title>"), "{} {}", page.status, page.body);
    let kernel = alice.start_kernel(&base).unwrap();
    assert_eq!(alice.run_in_kernel(&base, &kernel, "print(6 * 7)").unwrap().trim(), "42");

    let own = format!("http://{}", stage.essaim.gateway());
    let channels = format!("{base}api/kernels/{kernel}/channels");
    for (origin, status) in [(own.as_str(), 101), ("http://evil.example", 403), ("null", 403)] {
        let upgrade = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("Origin", origin),
        ];
        let answer = alice.request_with("GET", &channels, &upgrade, "").unwrap();
        assert_eq!(answer.status, status, "from {origin}: {}", answer.body);
    }
    let posted =
        alice.request_with("POST", &format!("{base}api/kernels"), &[("Origin", "http://evil.example")], "{}").unwrap();
    assert_eq!(posted.status, 403, "{}", posted.body);
    stage.delete("session");
}

#[test]
fn a_server_that_is_not_up_is_explained_to_people_and_programs() {
    let stage = stage();
    stage.server("waits", "{class: fake, memory: 900Gi}");
    stage.wait_for("waits", "Ready", "False", "NoMachineFits");
    let answer =
        explained(&stage, "waits", "NoMachineFits", &["is starting", "900Gi are asked for", "http-equiv=\"refresh\""]);
    assert_eq!(header(&answer, "retry-after"), "2");
    stage.delete("waits");

    stage.server("rests", "{class: fake, suspend: true}");
    stage.wait_for("rests", "Suspended", "True", "SuspendedByRequest");
    explained(&stage, "rests", "SuspendedByRequest", &["is stopped", "Start again"]);
    let bob = program(&stage, "bob").request("POST", "/servers/alice/rests/start", "").unwrap();
    assert_eq!(bob.status, 403);
    assert_eq!(program(&stage, "alice").request("POST", "/servers/alice/rests/start", "").unwrap().status, 303);
    stage.wait_ready("rests");
    stage.delete("rests");

    stage.server("fails", "{class: nowhere}");
    stage.wait_for("fails", "Ready", "False", "ClassNotFound");
    explained(&stage, "fails", "ClassNotFound", &["cannot run", "nowhere"]);
    stage.delete("fails");

    wait_until("the deleted server to be unknown", || {
        let page = person(&stage).request("GET", "/user/alice/fails/", "").unwrap();
        (page.status == 404 && page.body.contains("There is nothing at this address")).then_some(())
    });
}

#[test]
fn shut_down_in_jupyter_stops_the_server_and_the_page_says_so() {
    let stage = stage();
    let base = lab(&stage, "menu");
    let answer = program(&stage, "alice").request("POST", &format!("{base}api/shutdown"), "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    stage.wait_for("menu", "Suspended", "True", "ShutDownInJupyter");
    assert_eq!(stage.get("menu")["spec"]["suspend"], true);
    explained(&stage, "menu", "ShutDownInJupyter", &["is stopped", "Start again"]);
    wait_until("the container to go", || stage.containers("menu").is_empty().then_some(()));
    stage.delete("menu");
}

#[test]
fn notebooks_go_on_while_essaim_is_killed_and_started_again() {
    let mut stage = stage();
    let base = lab(&stage, "steady");
    let alice = program(&stage, "alice");
    let kernel = alice.start_kernel(&base).unwrap();
    alice.run_in_kernel(&base, &kernel, "x = 1").unwrap();
    let before = stage.containers("steady");
    stage.essaim.kill();
    assert_eq!(stage.containers("steady"), before);
    stage.essaim.launch(&[]).unwrap();
    stage.essaim.wait_until_ready().unwrap();
    let printed =
        wait_until("the gateway to lead there again", || alice.run_in_kernel(&base, &kernel, "print(x)").ok());
    assert_eq!(printed.trim(), "1");
    stage.wait_ready("steady");
    assert_eq!(stage.containers("steady"), before);
    stage.delete("steady");
}

/// A real Jupyter of alice that answers, and its path behind the gateway.
fn lab(stage: &Stage, name: &str) -> String {
    stage.essaim.kubectl(&["apply", "-f", &example("first-notebook/1-class.yaml")]).unwrap();
    stage.server(name, "{class: small}");
    stage.wait_ready(name);
    let base = format!("/user/alice/{name}/");
    // The gateway hears of it by a watch, a moment after us.
    let alice = program(stage, "alice");
    wait_until("the route", || (alice.request("GET", &format!("{base}api"), "").unwrap().status == 200).then_some(()));
    base
}

fn program(stage: &Stage, login: &str) -> Caller {
    Caller::with_token(stage.essaim.gateway(), &token(login))
}

fn person(stage: &Stage) -> Caller {
    Caller { accept: "text/html", ..program(stage, "alice") }
}

/// Waits for the page that names the reason, looks for the words, and makes sure that programs are told the same.
fn explained(stage: &Stage, name: &str, reason: &str, words: &[&str]) -> Answer {
    let path = format!("/user/alice/{name}/");
    let page = wait_until(&format!("the page to say {reason}"), || {
        let page = person(stage).request("GET", &path, "").unwrap();
        (page.status == 503 && page.body.contains(reason)).then_some(page)
    });
    for word in words {
        assert!(page.body.contains(word), "{name}: no {word:?} in {}", page.body);
    }
    let told = program(stage, "alice").request("GET", &path, "").unwrap();
    assert_eq!((told.status, header(&told, "essaim-reason")), (503, reason.to_owned()));
    assert!(told.body.contains(reason), "{}", told.body);
    page
}

fn header(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}
