//! The Swarm service and secret that a NotebookServer stands for.

use std::collections::BTreeMap;

use essaim_api::{
    Memory, NotebookClassSpec, NotebookImage, NotebookServer, Propagation as ApiPropagation, names::label,
};
use essaim_backend::{
    directory::Account,
    swarm::{Action, HostPort, Mount, Owner, Propagation, SecretContent, SecretFile, ServiceSpec},
};
use sha2::{Digest, Sha256};

use super::{Reach, Site};
use crate::template;

/// Longest name that Swarm takes.
const NAME_LIMIT: usize = 63;
/// Jupyter's port in the container.
const PORT: u16 = 8888;
/// The token's file under `/run/secrets`.
const TOKEN_FILE: &str = "jupyter-token";

/// Everything that shapes a service.
pub(super) struct Request<'a> {
    pub(super) server: &'a NotebookServer,
    pub(super) owner: &'a Owner,
    pub(super) generation: i64,
    pub(super) class: &'a NotebookClassSpec,
    pub(super) image: &'a NotebookImage,
    pub(super) account: &'a Account,
    pub(super) site: &'a Site,
}

/// The name of an owner's service: `jns-<login>_<name>`, shortened with a hash where Swarm's 63 characters do not suffice.
///
/// No login and no object name has an underscore, so two owners never share a name.
pub fn service_name(owner: &Owner) -> String {
    bounded(format!("jns-{}_{}", owner.namespace, owner.name), NAME_LIMIT)
}

/// What hashes begin with. It changes whenever the hash of an unchanged service does: with a field of [`ServiceSpec`], or with a setting
/// that `essaim-swarm` fixes for all services. Else the next essaim would take every service for edited by hand, and restart it.
const FORM: &str = "1-";

/// Whether a hash was made as [`hash`] makes it; others tell nothing.
pub(super) fn is_of_this_form(hash: &str) -> bool {
    hash.starts_with(FORM)
}

/// A hash of all of a service whose change restarts the container; its labels do not.
pub fn hash(spec: &ServiceSpec) -> String {
    let relevant = ServiceSpec { labels: BTreeMap::new(), force_update: 0, ..spec.clone() };
    // A struct of strings, numbers and maps always serialises; an empty text would only look like drift.
    let text = serde_json::to_string(&relevant).unwrap_or_default();
    format!("{FORM}{}", hex::encode(&Sha256::digest(text)[..8]))
}

/// The service. Its labels say what it was made from.
///
/// Errors: a mount template that cannot be filled, in words.
pub(super) fn service(request: &Request<'_>) -> Result<ServiceSpec, String> {
    let Request { server, owner, class, image, account, site, .. } = request;
    let mounts = mounts(class, account)?;
    let home = home(account, &mounts);
    let (networks, host_port) = match &site.reach {
        Reach::HostPorts => (Vec::new(), Some(HostPort { target: PORT })),
        Reach::Overlay(network) => (vec![network.clone()], None),
        Reach::Both(network) => (vec![network.clone()], Some(HostPort { target: PORT })),
    };
    let memory = server.spec.memory.as_ref().unwrap_or(&class.resources.memory.default);
    let cpu = server.spec.cpu.as_ref().or(class.resources.cpu.default.as_ref());
    let mut spec = ServiceSpec {
        name: service_name(owner),
        labels: BTreeMap::new(),
        container_labels: owner_labels(owner),
        image: image.image.clone(),
        command: command(image),
        args: arguments(owner, &home),
        env: environment(request, &home),
        hostname: bounded(format!("jns-{}", account.login), NAME_LIMIT),
        user: format!("{}:{}", account.uid, account.gid),
        groups: supplementary_groups(account),
        working_dir: home,
        mounts,
        secrets: vec![token_file(owner, account, site)],
        constraints: class.placement.iter().map(|(key, value)| format!("node.labels.{key}=={value}")).collect(),
        memory_bytes: Some(Memory::bytes(memory)),
        nano_cpus: cpu.map(essaim_api::Cpu::nanos),
        networks,
        host_port,
        force_update: 0,
        foreign: BTreeMap::new(),
    };
    spec.labels = service_labels(request, &spec);
    Ok(spec)
}

/// The name of the secret with the token, and the action that makes it.
///
/// The site key's fingerprint is part of the name: under a new key there is a new secret, and the service changes with it.
pub(super) fn secret(owner: &Owner, site: &Site) -> (String, Action) {
    let name = secret_name(owner, site);
    let content = SecretContent(site.key.notebook_token(&owner.uid).into_bytes());
    let mut labels = owner_labels(owner);
    labels.insert(label::MANAGED_BY.into(), label::MANAGER.into());
    (name.clone(), Action::CreateSecret { name, labels, content })
}

fn secret_name(owner: &Owner, site: &Site) -> String {
    // The uid makes it unique in time: a server that is made anew under an old name never gets the old one's token.
    bounded(format!("jns-token-{}-{}", owner.uid, site.key.fingerprint()), NAME_LIMIT)
}

fn token_file(owner: &Owner, account: &Account, site: &Site) -> SecretFile {
    SecretFile {
        file: TOKEN_FILE.into(),
        secret: secret_name(owner, site),
        uid: account.uid,
        gid: account.gid,
        mode: 0o400,
    }
}

fn owner_labels(owner: &Owner) -> BTreeMap<String, String> {
    let pairs =
        [(label::OWNER_UID, &owner.uid), (label::OWNER_NAMESPACE, &owner.namespace), (label::OWNER_NAME, &owner.name)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn service_labels(request: &Request<'_>, spec: &ServiceSpec) -> BTreeMap<String, String> {
    let mut labels = owner_labels(request.owner);
    labels.insert(label::MANAGED_BY.into(), label::MANAGER.into());
    labels.insert(label::GENERATION.into(), request.generation.to_string());
    labels.insert(label::SPEC_HASH.into(), hash(spec));
    labels.insert(label::RESTARTS.into(), "0".into());
    if let Some(time) = &request.server.spec.restarted_at {
        labels.insert(label::RESTARTED_AT.into(), time.0.to_string());
    }
    labels
}

fn command(image: &NotebookImage) -> Vec<String> {
    if image.command.is_empty() {
        return vec!["jupyter".into(), "lab".into()];
    }
    image.command.clone()
}

fn arguments(owner: &Owner, home: &str) -> Vec<String> {
    vec![
        "--no-browser".into(),
        "--ServerApp.ip=0.0.0.0".into(),
        format!("--ServerApp.port={PORT}"),
        "--ServerApp.port_retries=0".into(),
        format!("--ServerApp.base_url=/user/{}/{}/", owner.namespace, owner.name),
        format!("--ServerApp.root_dir={home}"),
        // The gateway checks who calls and from where; the machine's own name is not the one in the browser.
        "--ServerApp.allow_remote_access=True".into(),
    ]
}

fn environment(request: &Request<'_>, home: &str) -> BTreeMap<String, String> {
    let Request { server, class, account, .. } = request;
    let mut env = BTreeMap::from([("SHELL".to_owned(), "/bin/bash".to_owned())]);
    let chosen = class.env.iter().chain(&server.spec.env);
    env.extend(chosen.map(|variable| (variable.name.clone(), variable.value.clone())));
    // Last, so that no manifest can take them over.
    env.extend([
        ("HOME".to_owned(), home.to_owned()),
        ("USER".to_owned(), account.login.clone()),
        ("LOGNAME".to_owned(), account.login.clone()),
        ("JUPYTER_TOKEN_FILE".to_owned(), format!("/run/secrets/{TOKEN_FILE}")),
        // Images that come from nvidia/cuda say `all`: without this a container sees every GPU of its machine.
        ("NVIDIA_VISIBLE_DEVICES".to_owned(), "void".to_owned()),
    ]);
    env
}

fn supplementary_groups(account: &Account) -> Vec<String> {
    let mut gids: Vec<u32> = account.groups.iter().map(|group| group.gid).filter(|gid| *gid != account.gid).collect();
    gids.sort_unstable();
    gids.dedup();
    gids.iter().map(u32::to_string).collect()
}

fn mounts(class: &NotebookClassSpec, account: &Account) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for mount in &class.mounts {
        let propagation = match mount.propagation {
            ApiPropagation::Rprivate => Propagation::Rprivate,
            ApiPropagation::Rslave => Propagation::Rslave,
        };
        let pairs = template::expand(&mount.source, &mount.target, account)?;
        mounts.extend(pairs.into_iter().map(|(source, target)| Mount {
            target,
            source,
            read_only: mount.read_only,
            propagation,
        }));
    }
    mounts.sort();
    if let Some(twice) = mounts.windows(2).find(|pair| pair[0].target == pair[1].target) {
        return Err(format!("the class mounts two directories at {}", twice[0].target));
    }
    Ok(mounts)
}

/// The account's home where a mount provides it, else a directory that every container can write.
fn home(account: &Account, mounts: &[Mount]) -> String {
    let provided = |mount: &Mount| std::path::Path::new(&account.home).starts_with(&mount.target) && !mount.read_only;
    if mounts.iter().any(provided) { account.home.clone() } else { "/tmp".into() }
}

/// The text, or its beginning and a hash of the whole where it is too long.
fn bounded(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let digest = hex::encode(&Sha256::digest(&text)[..5]);
    let keep = limit - digest.len() - 1;
    let start: String = text.chars().take(keep).collect();
    format!("{}-{digest}", start.trim_end_matches(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_changes_gets_another_form() {
        let mount =
            Mount { target: "/t".into(), source: "/s".into(), read_only: true, propagation: Propagation::Rslave };
        let secret = SecretFile { file: "f".into(), secret: "s".into(), uid: 1, gid: 2, mode: 0o400 };
        let spec = ServiceSpec {
            name: "jns-a_b".into(),
            labels: BTreeMap::new(),
            container_labels: BTreeMap::from([("k".into(), "v".into())]),
            image: "i:1".into(),
            command: vec!["c".into()],
            args: vec!["a".into()],
            env: BTreeMap::from([("E".into(), "1".into())]),
            hostname: "h".into(),
            user: "1:2".into(),
            groups: vec!["3".into()],
            working_dir: "/".into(),
            mounts: vec![mount],
            secrets: vec![secret],
            constraints: vec!["node.labels.a==b".into()],
            memory_bytes: Some(1),
            nano_cpus: Some(2),
            networks: vec!["n".into()],
            host_port: Some(HostPort { target: 8888 }),
            force_update: 5,
            foreign: BTreeMap::new(),
        };
        assert_eq!(hash(&spec), "1-9361a4fff0f859db", "the hash of an unchanged service changed: raise FORM");
    }
}
