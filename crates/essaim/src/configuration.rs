//! What `essaim serve` is told: flags, and a YAML file for what flags are too short for. A flag wins over the file; an unknown key
//! is an error.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use essaim_plan::notebook::Reach;
use serde::Deserialize;

use crate::error::Error;

/// The accounts, in the data directory, where nothing else is named.
pub(crate) const DIRECTORY_FILE: &str = "directory.yaml";

/// How large a file of the audit log may be, and how many there may be, where nothing else is said: half a gigabyte.
const AUDIT_MEGABYTES: u64 = 64;
const AUDIT_FILES: usize = 8;

/// The flags of `essaim serve`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Directory of the store, the certificates and the admin's kubeconfig. Made if absent.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the API listens, as HOST:PORT. Always TLS.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Where the gateway listens, as HOST:PORT. Plain HTTP on loopback, TLS elsewhere.
    #[arg(long, value_name = "HOST:PORT")]
    gateway: Option<SocketAddr>,
    /// A YAML file with the same settings, and more.
    #[arg(long)]
    config: Option<PathBuf>,
    /// `file`, in the data directory, or an etcd that several processes share.
    #[arg(long, value_name = "file|etcd=URL[,URL]")]
    store: Option<String>,
    /// Docker's manager, such as unix:///var/run/docker.sock, or `off`.
    #[arg(long, value_name = "URL|off")]
    swarm: Option<String>,
    /// Who a login is: file=PATH. DATA-DIR/directory.yaml if absent.
    #[arg(long, value_name = "file=PATH")]
    directory: Option<String>,
    /// A YAML file with static tokens: `tokens: [{user, groups, sha256}]`.
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// The audit log of the API, or `off`. DATA-DIR/audit/audit.log if absent.
    #[arg(long, value_name = "FILE|off")]
    audit: Option<String>,
    /// What this process does. Everything if absent.
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// How the gateway reaches containers: `hostPorts`, `overlay=NETWORK` or `both=NETWORK`.
    #[arg(long)]
    reach: Option<String>,
    /// A proxy in front of the gateway ends TLS: serve plain HTTP on any address.
    #[arg(long)]
    gateway_behind_proxy: bool,
    /// For the fault tests: stop for ever at the Nth step of reconciling, and say so, so that the process can be killed there.
    #[arg(long, hide = true, value_name = "N")]
    hold_at_step: Option<u64>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The API server over the store.
    Api,
    /// The reconcilers.
    Controllers,
    /// Login, pages and proxy.
    Gateway,
}

/// The file. Every key is optional; `docs/operations.md` describes them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    gateway: Option<SocketAddr>,
    store: Option<String>,
    etcd: Option<EtcdFiles>,
    swarm: Option<String>,
    directory: Option<String>,
    tokens: Option<PathBuf>,
    roles: Option<Vec<Role>>,
    reach: Option<String>,
    gateway_behind_proxy: Option<bool>,
    kubeconfig: Option<PathBuf>,
    audit: Option<String>,
    audit_max_megabytes: Option<u64>,
    audit_max_files: Option<usize>,
    oidc: Option<Oidc>,
}

/// An identity provider whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Oidc {
    /// As it stands in the tokens: `https://sso.example/realms/site`.
    pub(crate) issuer: String,
    /// The client's id, for which a token must be.
    pub(crate) client_id: String,
    /// Further audiences that are accepted.
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    /// The claim that names the user.
    #[serde(default = "subject")]
    pub(crate) username_claim: String,
    /// Stands before the user's name.
    #[serde(default = "oidc_prefix")]
    pub(crate) username_prefix: String,
    /// The claim that names the groups; may be nested: `realm_access.roles`.
    pub(crate) groups_claim: Option<String>,
    /// Stands before every group's name.
    #[serde(default = "oidc_prefix")]
    pub(crate) groups_prefix: String,
    /// What else a token must say.
    #[serde(default)]
    pub(crate) required_claims: BTreeMap<String, String>,
    /// The authority of the provider's certificate; those of the system if absent.
    pub(crate) ca_file: Option<PathBuf>,
}

fn subject() -> String {
    "sub".into()
}

fn oidc_prefix() -> String {
    "oidc:".into()
}

/// Where it is noted who asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) path: PathBuf,
    pub(crate) max_bytes: u64,
    pub(crate) max_files: usize,
}

/// What was decided.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) gateway: SocketAddr,
    pub(crate) store: StoreAt,
    pub(crate) swarm: SwarmAt,
    pub(crate) directory: PathBuf,
    pub(crate) tokens: Vec<Token>,
    pub(crate) roles: Vec<Role>,
    pub(crate) reach: Reach,
    pub(crate) gateway_plain: bool,
    /// Browsers speak TLS to the gateway, or to the proxy before it.
    pub(crate) secure_cookies: bool,
    /// The API of another process, or a real Kubernetes API server; needed without the role `api`.
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) hold_at_step: Option<u64>,
    /// Nowhere if absent.
    pub(crate) audit: Option<Audit>,
    pub(crate) oidc: Option<Oidc>,
}

/// Where the objects are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoreAt {
    /// In a file of this process's own.
    File,
    /// In an etcd of version 3.4 or later, by the addresses of its members.
    Etcd { endpoints: Vec<String>, files: Option<EtcdFiles> },
}

/// Certificates for etcd; needed for `https`.
#[expect(clippy::struct_field_names, reason = "as the keys of the file are called")]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EtcdFiles {
    /// Who may have signed the members' certificates.
    pub(crate) ca_file: PathBuf,
    /// Ours, if etcd asks for one.
    pub(crate) cert_file: Option<PathBuf>,
    /// Its private key.
    pub(crate) key_file: Option<PathBuf>,
}

/// Where the Swarm is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SwarmAt {
    /// At this address.
    Url(String),
    /// Nowhere.
    Off,
}

/// A static token, known by its hash only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// Whose it is.
    pub(crate) user: String,
    /// The user's groups.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// SHA-256 of the token in hexadecimal.
    pub(crate) sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    tokens: Vec<Token>,
}

/// Where a store is, without what a process needs that serves it.
pub(crate) fn place(
    data_dir: Option<PathBuf>,
    store_at: Option<&str>,
    config: Option<&Path>,
) -> Result<(PathBuf, StoreAt), Error> {
    let file: File = config.map(parse).transpose()?.unwrap_or_default();
    let data_dir = needed(data_dir.or(file.data_dir), "--data-dir DIR")?;
    Ok((data_dir, store(store_at.or(file.store.as_deref()), file.etcd)?))
}

/// Puts flags and file together, and checks everything that can be checked without touching the outside.
pub(crate) fn read(flags: Flags, kubeconfig: Option<PathBuf>) -> Result<Configuration, Error> {
    let file: File = flags.config.as_deref().map(parse).transpose()?.unwrap_or_default();
    let data_dir = needed(flags.data_dir.or(file.data_dir), "--data-dir DIR")?;
    let roles = flags.roles.or(file.roles).unwrap_or_else(|| vec![Role::Api, Role::Controllers, Role::Gateway]);
    let kubeconfig = kubeconfig.or(file.kubeconfig).filter(|_| !roles.contains(&Role::Api));
    if !roles.contains(&Role::Api) && kubeconfig.is_none() {
        return Err(Error::Configuration(
            "without the role api, name the API server's kubeconfig with --kubeconfig FILE".into(),
        ));
    }
    let loopback = |port| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
    let gateway = flags.gateway.or(file.gateway).unwrap_or_else(|| loopback(8000));
    let behind_proxy = flags.gateway_behind_proxy || file.gateway_behind_proxy.unwrap_or(false);
    let tokens = flags.tokens.or(file.tokens).as_deref().map(parse::<TokenFile>).transpose()?;
    Ok(Configuration {
        listen: flags.listen.or(file.listen).unwrap_or_else(|| loopback(6443)),
        store: store(flags.store.or(file.store).as_deref(), file.etcd)?,
        swarm: swarm(flags.swarm.or(file.swarm).as_deref()),
        directory: directory(flags.directory.or(file.directory).as_deref(), &data_dir)?,
        tokens: tokens.map(|file| file.tokens).unwrap_or_default(),
        reach: reach(flags.reach.or(file.reach).as_deref())?,
        gateway_plain: behind_proxy || gateway.ip().is_loopback(),
        secure_cookies: behind_proxy || !gateway.ip().is_loopback(),
        hold_at_step: flags.hold_at_step,
        audit: audit(
            flags.audit.or(file.audit).as_deref(),
            &data_dir,
            file.audit_max_megabytes.unwrap_or(AUDIT_MEGABYTES),
            file.audit_max_files.unwrap_or(AUDIT_FILES),
        )?,
        oidc: file.oidc,
        data_dir,
        gateway,
        roles,
        kubeconfig,
    })
}

fn needed<T>(value: Option<T>, flag: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Configuration(format!("{flag} is needed, or its key in the file that --config names")))
}

fn store(text: Option<&str>, files: Option<EtcdFiles>) -> Result<StoreAt, Error> {
    let wrong = |what: &str| Error::Configuration(format!("--store must be file or etcd=URL[,URL], not {what:?}"));
    match text.map(|text| text.split_once('=').unwrap_or((text, ""))) {
        None | Some(("file", "")) if files.is_some() => {
            Err(Error::Configuration("the key etcd is of no use without --store etcd=URL".into()))
        }
        None | Some(("file", "")) => Ok(StoreAt::File),
        Some(("etcd", members)) if !members.is_empty() => {
            let endpoints: Vec<String> = members.split(',').map(|member| member.trim().to_owned()).collect();
            let known = |member: &&String| member.starts_with("http://") || member.starts_with("https://");
            match endpoints.iter().find(|member| !known(member)) {
                Some(member) => Err(wrong(member)),
                None => Ok(StoreAt::Etcd { endpoints, files }),
            }
        }
        Some(_) => Err(wrong(text.unwrap_or_default())),
    }
}

fn swarm(value: Option<&str>) -> SwarmAt {
    match value {
        Some("off") => SwarmAt::Off,
        Some(url) => SwarmAt::Url(url.to_owned()),
        None => SwarmAt::Url("unix:///var/run/docker.sock".into()),
    }
}

fn directory(value: Option<&str>, data_dir: &Path) -> Result<PathBuf, Error> {
    match value.map(|text| (text, text.split_once('='))) {
        None => Ok(data_dir.join(DIRECTORY_FILE)),
        Some((_, Some(("file", path)))) => Ok(path.into()),
        Some((text, _)) => Err(Error::Configuration(format!("--directory {text} is not supported; use file=PATH"))),
    }
}

fn audit(value: Option<&str>, data_dir: &Path, megabytes: u64, files: usize) -> Result<Option<Audit>, Error> {
    if value == Some("off") {
        return Ok(None);
    }
    if megabytes == 0 || files == 0 {
        let words = "auditMaxMegabytes and auditMaxFiles must be at least 1; `audit: \"off\"` turns the audit log off";
        return Err(Error::Configuration(words.into()));
    }
    let path = value.map_or_else(|| data_dir.join("audit/audit.log"), PathBuf::from);
    Ok(Some(Audit { path, max_bytes: megabytes.saturating_mul(1024 * 1024), max_files: files }))
}

fn reach(value: Option<&str>) -> Result<Reach, Error> {
    let Some(text) = value else { return Ok(Reach::HostPorts) };
    match text.split_once('=') {
        None if text == "hostPorts" => Ok(Reach::HostPorts),
        Some(("overlay", network)) if !network.is_empty() => Ok(Reach::Overlay(network.into())),
        Some(("both", network)) if !network.is_empty() => Ok(Reach::Both(network.into())),
        _ => Err(Error::Configuration(format!("--reach {text} is none of hostPorts, overlay=NETWORK, both=NETWORK"))),
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    serde_yaml::from_str(&text).map_err(|source| Error::Parse { path: path.into(), source: source.into() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Call {
        #[command(flatten)]
        flags: Flags,
    }

    fn read_with(flags: &[&str], kubeconfig: Option<&str>) -> Result<Configuration, Error> {
        let call = Call::parse_from([&["serve", "--data-dir", "/d"], flags].concat());
        read(call.flags, kubeconfig.map(PathBuf::from))
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "kubeconfig: /file\nswarm: off\nreach: overlay=net\nroles: [controllers]").unwrap();
        let config = ["--config", file.path().to_str().unwrap()];
        let from_file = read_with(&config, None).unwrap();
        assert_eq!((from_file.kubeconfig, from_file.reach), (Some("/file".into()), Reach::Overlay("net".into())));
        let from_flags = read_with(&[&config[..], &["--reach", "hostPorts"]].concat(), Some("/flag")).unwrap();
        assert_eq!((from_flags.kubeconfig, from_flags.reach), (Some("/flag".into()), Reach::HostPorts));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for flags in [
            ["--store", "etcd="],
            ["--store", "etcd=x:1"],
            ["--store", "files"],
            ["--reach", "overlay="],
            ["--reach", "hostPorts=1"],
            ["--directory", "ldap=x"],
            ["--roles", "gateway"],
        ] {
            assert!(matches!(read_with(&flags, None), Err(Error::Configuration(_))), "{flags:?}");
        }
    }

    #[test]
    fn the_audit_log_lies_in_the_data_directory_or_where_it_is_wanted_or_nowhere() {
        let audit = |flags: &[&str]| read_with(flags, None).unwrap().audit.map(|audit| audit.path);
        assert_eq!(audit(&[]), Some("/d/audit/audit.log".into()));
        assert_eq!(audit(&["--audit", "/var/log/essaim.log"]), Some("/var/log/essaim.log".into()));
        assert_eq!(audit(&["--audit", "off"]), None);
    }

    #[test]
    fn an_identity_provider_is_described_in_the_file_and_safe_where_nothing_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = ["--config", file.path().to_str().unwrap()];
        std::fs::write(&file, "oidc: {issuer: 'https://sso.example/realms/site', clientId: essaim}").unwrap();
        let oidc = read_with(&config, None).unwrap().oidc.unwrap();
        assert_eq!((oidc.username_claim.as_str(), oidc.username_prefix.as_str()), ("sub", "oidc:"));
        assert_eq!((oidc.groups_claim, oidc.groups_prefix.as_str()), (None, "oidc:"));
        std::fs::write(&file, "oidc: {issuer: 'https://sso.example', clientId: essaim, groupClaim: x}").unwrap();
        assert!(matches!(read_with(&config, None), Err(Error::Parse { .. })), "an unknown key is an error");
    }

    #[test]
    fn cookies_are_secure_wherever_browsers_speak_tls() {
        let secure = |flags: &[&str]| read_with(flags, None).unwrap().secure_cookies;
        assert!(!secure(&["--gateway", "127.0.0.1:8000"]));
        assert!(secure(&["--gateway", "127.0.0.1:8000", "--gateway-behind-proxy"]));
        assert!(secure(&["--gateway", "0.0.0.0:8000"]));
    }
}
