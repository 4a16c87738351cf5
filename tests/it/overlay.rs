//! The gateway as a service of the Swarm, apart from the API: it reaches notebooks by their addresses on the overlay network.
//!
//! ```text
//!   this machine: api, controllers ◄── kubeconfig (a Swarm secret) ── engine3: gateway
//!                                                                        │ overlay network `essaim`
//!                                                  engine1 or engine2: notebook ◄┘
//! ```

use std::{fs, process::Command};

use xtask::{
    jupyter::Caller,
    platform::token,
    testbed::{BRIDGE_ADDRESS, NETWORK, NOTEBOOK_IMAGE, Site},
};

use crate::fixture::{Stage, binary, example, root, stage_on, wait_until};

const IMAGE: &str = "essaim/essaim:testbed";
/// Not where the class `small` runs, so that every byte to a notebook crosses the overlay.
const MACHINE: &str = "engine3";
const SERVICE: &str = "essaim-tests-gateway";
const PORT: &str = "mode=host,target=8000";

#[test]
fn a_gateway_in_the_swarm_reaches_notebooks_over_the_overlay() {
    let stage = stage_on(BRIDGE_ADDRESS, &["--roles", "api,controllers", "--reach", "both=essaim"]);
    build_image(&stage);
    let gateway = Gateway::start(&stage);
    stage.server("answers", "{class: fake}");
    stage.essaim.kubectl(&["apply", "-f", &example("first-notebook/1-class.yaml")]).unwrap();
    stage.server("computes", "{class: small}");

    stage.wait_ready("answers");
    let caller = Caller::with_token(&gateway.address(), &token("alice"));
    let fake = wait_until("an answer through the gateway", || {
        let answer = caller.request("GET", "/user/alice/answers/api", "").ok()?;
        (answer.status == 200).then_some(answer)
    });
    assert!(fake.body.contains("\"version\": \"fake\""), "{}", fake.body);

    stage.wait_ready("computes");
    let server = stage.get("computes");
    let overlay = server["status"]["addresses"]["overlay"].as_str().unwrap();
    assert!(overlay.starts_with("10.79."), "the address is not on the overlay network: {overlay}");
    assert_ne!(server["status"]["node"], MACHINE);
    let cell = "import os; print(6 * 7, os.getuid())";
    let printed = wait_until("a cell through the gateway", || caller.run_cell("/user/alice/computes/", cell).ok());
    assert_eq!(printed.trim(), "42 5001");
    let bob = Caller::with_token(&gateway.address(), &token("bob"));
    assert_eq!(bob.request("GET", "/user/alice/computes/api", "").unwrap().status, 403);
    stage.delete("answers");
    stage.delete("computes");
}

/// On the one machine that runs it: there is no registry, and copies elsewhere would only cost time.
fn build_image(stage: &Stage) {
    let context = stage.folder().join("context");
    fs::create_dir(&context).unwrap();
    let stripped = Command::new("strip").arg("-o").arg(context.join("essaim")).arg(binary()).status().unwrap();
    assert!(stripped.success(), "strip failed");
    let (base, dockerfile) = (format!("BASE={NOTEBOOK_IMAGE}"), root().join("deploy/images/essaim/Dockerfile"));
    let (context, dockerfile) = (context.to_str().unwrap(), dockerfile.to_str().unwrap());
    let build = ["build", "--quiet", "--force-rm", "--tag", IMAGE, "--build-arg", &base, "--file", dockerfile, context];
    stage.site.docker_on(MACHINE, &build).unwrap();
}

/// The service with its secret; both go when this is dropped, whatever happened, and the image with them.
struct Gateway<'a> {
    site: &'a Site,
}

impl<'a> Gateway<'a> {
    fn start(stage: &'a Stage) -> Self {
        let gateway = Self { site: &stage.site };
        gateway.remove(); // what an interrupted run may have left
        let kubeconfig = stage.essaim.kubeconfig();
        stage.site.docker(&["secret", "create", SERVICE, kubeconfig.to_str().unwrap()]).unwrap();
        let (secret, place) = (format!("source={SERVICE},target=kubeconfig"), format!("node.hostname=={MACHINE}"));
        let create = ["service", "create", "--quiet", "--detach", "--no-resolve-image", "--name", SERVICE];
        let shape = [
            "--secret",
            &secret,
            "--network",
            NETWORK,
            "--endpoint-mode=dnsrr",
            "--publish",
            PORT,
            "--constraint",
            &place,
            IMAGE,
        ];
        let serve = ["serve", "--roles=gateway", "--kubeconfig=/run/secrets/kubeconfig", "--reach=overlay=essaim"];
        let listen = ["--gateway=0.0.0.0:8000", "--gateway-behind-proxy", "--data-dir=/tmp/d"];
        stage.site.docker(&[&create[..], &shape, &serve, &listen].concat()).unwrap();
        gateway
    }

    /// Where the machine publishes the gateway's port, once its container runs and its routes are loaded.
    fn address(&self) -> String {
        let nodes = self.site.nodes().unwrap();
        let machine = &nodes.iter().find(|node| node.name == MACHINE).unwrap().address;
        wait_until("the gateway to be ready", || {
            let filter = format!("label=com.docker.swarm.service.name={SERVICE}");
            let ports = self.site.docker_on(MACHINE, &["ps", "--filter", &filter, "--format", "{{.Ports}}"]).unwrap();
            let published = ports.split("->8000").next()?.rsplit(':').next()?.parse::<u16>().ok()?;
            let address = format!("{machine}:{published}");
            let ready =
                Caller { authorization: None, ..Caller::with_token(&address, "") }.request("GET", "/readyz", "");
            ready.is_ok_and(|answer| answer.status == 200).then_some(address)
        })
    }

    /// An error means that there is none.
    fn remove(&self) {
        let _ = self.site.docker(&["service", "rm", SERVICE]);
        wait_until("its containers to go", || {
            let filter = format!("label=com.docker.swarm.service.name={SERVICE}");
            let left = self.site.docker_on(MACHINE, &["ps", "--all", "--quiet", "--filter", &filter]).ok()?;
            left.is_empty().then_some(())
        });
        let _ = self.site.docker(&["secret", "rm", SERVICE]);
    }
}

impl Drop for Gateway<'_> {
    #[expect(clippy::print_stderr, reason = "shown only with a failed test, and gone with the service otherwise")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.site.docker(&["service", "logs", "--raw", "--tail=30", SERVICE]);
            eprintln!("the gateway said: {}", logs.unwrap_or_default());
        }
        self.remove();
        let _ = self.site.docker_on(MACHINE, &["image", "rm", "--force", IMAGE]);
    }
}
