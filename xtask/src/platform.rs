//! A running `essaim` of this repository, for the demo, the benches and the tests: started, asked, killed, started again.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::program::Program;
use crate::{kubectl, repository, wait};

/// The store opens and the certificates are made in well under a second; a busy machine gets more.
const START: Duration = Duration::from_mins(1);
/// Longest that one kubectl command may take.
const KUBECTL: Duration = Duration::from_mins(4);

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The binary, from [`build`].
    pub binary: PathBuf,
    /// `--swarm`
    pub swarm: String,
    /// `--directory file=`
    pub directory: PathBuf,
    /// Logins with a static token each: see [`token`].
    pub logins: Vec<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A platform with a data directory of its own. Dropping it kills the process; the directory stays with its owner.
#[derive(Debug)]
pub struct Platform {
    options: Options,
    directory: PathBuf,
    api: String,
    gateway: String,
    process: Option<Child>,
    kubectl: PathBuf,
}

/// Builds the binary, in the profile that the bench or the demo wants, and says where it is.
///
/// # Errors
/// What cargo says.
pub fn build(release: bool) -> Result<PathBuf, Error> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let manifest = repository::root().join("Cargo.toml");
    let cargo =
        Program::new("cargo").args(["build", "--quiet", "--package", "essaim", "--manifest-path"]).args([&manifest]);
    cargo.args(profile).limit(Duration::from_mins(45)).run()?;
    Ok(repository::target().join(if release { "release" } else { "debug" }).join("essaim"))
}

/// The static token of a login on a throw-away platform. Guessable, like everything there.
pub fn token(login: &str) -> String {
    format!("throw-away-token-of-{login}")
}

impl Platform {
    /// Starts a platform with its data in `directory` (made if absent), and waits until its API is ready.
    ///
    /// # Errors
    /// The process ended, or was not ready in a minute: the error names its log.
    pub fn start(options: Options, directory: &Path) -> Result<Self, Error> {
        Self::start_on("127.0.0.1", options, directory)
    }

    /// The same on another address of this machine, such as one that containers reach.
    ///
    /// # Errors
    /// As [`Platform::start`].
    pub fn start_on(host: &str, options: Options, directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let tokens: Vec<Value> = options.logins.iter().map(|login| static_token(login)).collect();
        let path = directory.join("tokens.yaml");
        let text = serde_yaml::to_string(&serde_json::json!({"tokens": tokens})).map_err(Error::Yaml)?;
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        let mut platform = Self {
            options,
            directory: directory.to_owned(),
            api: format!("{host}:{}", free_port(host)?),
            gateway: format!("{host}:{}", free_port(host)?),
            process: None,
            kubectl: kubectl::ensure()?,
        };
        platform.launch(&[])?;
        platform.wait_until_ready()?;
        Ok(platform)
    }

    /// Starts the process again on the same data, without waiting for it, with further arguments.
    ///
    /// # Errors
    /// The binary could not be started.
    pub fn launch(&mut self, further: &[String]) -> Result<(), Error> {
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(Error::file("open", self.log()))?;
        let mut command = Command::new(&self.options.binary);
        command.arg("serve").arg("--data-dir").arg(self.directory.join("data"));
        command.args(["--listen", &self.api, "--gateway", &self.gateway, "--swarm", &self.options.swarm]);
        command.arg("--directory").arg(format!("file={}", self.options.directory.display()));
        command.arg("--tokens").arg(self.directory.join("tokens.yaml"));
        command.args(&self.options.arguments).args(further).env_remove("KUBECONFIG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = command.spawn();
        self.process = Some(started.map_err(|source| Error::Start { command: "essaim serve".into(), source })?);
        Ok(())
    }

    /// Waits until the API says that it is ready.
    ///
    /// # Errors
    /// Not within a minute.
    pub fn wait_until_ready(&mut self) -> Result<(), Error> {
        let log = self.log();
        wait::until("the API to be ready", START, &log.display(), || {
            let ended = self
                .process
                .as_mut()
                .map(Child::try_wait)
                .transpose()
                .map_err(Error::file("wait for", &log))?
                .flatten();
            if let Some(status) = ended {
                let stderr = tail(&log);
                return Err(Error::Program { command: "essaim serve".into(), status, stderr });
            }
            let ready = self.kubeconfig().exists() && self.command(&["get", "--raw", "/readyz"]).succeeds()?;
            Ok(ready.then_some(()))
        })
    }

    /// kubectl as the administrator: its standard output, or the error with what it wrote.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Error> {
        self.command(arguments).text()
    }

    /// The same for a JSON answer.
    ///
    /// # Errors
    /// kubectl failed, or wrote something else.
    pub fn kubectl_json(&self, arguments: &[&str]) -> Result<Value, Error> {
        self.command(arguments).args(["-o", "json"]).json()
    }

    /// kubectl with a manifest on its standard input, which is a file here.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn apply(&self, manifest: &str) -> Result<String, Error> {
        let path = self.directory.join("manifest.yaml");
        fs::write(&path, manifest).map_err(Error::file("write", &path))?;
        self.command(&["apply", "-f"]).args([&path]).text()
    }

    /// kubectl in the background, for tests that kill the platform under it; what it writes goes nowhere.
    ///
    /// # Errors
    /// It could not be started.
    pub fn kubectl_in_background(&self, arguments: &[&str]) -> Result<Child, Error> {
        let mut command = Command::new(&self.kubectl);
        command.env("HOME", self.directory.join("home")).arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|source| Error::Start { command: "kubectl".into(), source })
    }

    /// kubectl as a login with a static token.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn kubectl_as(&self, login: &str, arguments: &[&str]) -> Result<String, Error> {
        let kubeconfig = self.user_kubeconfig(login)?;
        Program::new(&self.kubectl).args(["--kubeconfig"]).args([&kubeconfig]).args(arguments).limit(KUBECTL).text()
    }

    fn command(&self, arguments: &[&str]) -> Program {
        let home = self.directory.join("home"); // kubectl's discovery cache, apart from the person's own
        Program::new(&self.kubectl)
            .env("HOME", home)
            .args(["--kubeconfig"])
            .args([self.kubeconfig()])
            .args(arguments)
            .limit(KUBECTL)
    }

    /// A kubeconfig with the login's token instead of the administrator's certificate.
    ///
    /// # Errors
    /// The administrator's could not be read, or this one not be written.
    pub fn user_kubeconfig(&self, login: &str) -> Result<PathBuf, Error> {
        let admin = self.kubeconfig();
        let text = fs::read_to_string(&admin).map_err(Error::file("read", &admin))?;
        let mut document: Value =
            serde_yaml::from_str(&text).map_err(|source| Error::ReadYaml { path: admin, source: source.into() })?;
        document["users"][0]["user"] = serde_json::json!({"token": token(login)});
        document["contexts"][0]["context"]["namespace"] = login.into();
        let path = self.directory.join(format!("{login}.kubeconfig"));
        let text = serde_yaml::to_string(&document).map_err(Error::Yaml)?;
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        Ok(path)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("data/admin.kubeconfig")
    }

    /// Who signed the API's certificate.
    pub fn certificate_authority(&self) -> PathBuf {
        self.directory.join("data/tls/ca.crt")
    }

    /// The gateway's `host:port`.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The API's `host:port`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Everything that the process logged, over all its lives.
    pub fn log(&self) -> PathBuf {
        self.directory.join("essaim.log")
    }

    /// The process id while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// An `essaim` command with the administrator's kubeconfig: its standard output whatever its exit code, and that code.
    ///
    /// # Errors
    /// It could not be started.
    pub fn essaim(&self, arguments: &[&str]) -> Result<(String, Option<i32>), Error> {
        let mut command = Command::new(&self.options.binary);
        let output = command.args(arguments).arg("--kubeconfig").arg(self.kubeconfig()).stdin(Stdio::null()).output();
        let output = output.map_err(|source| Error::Start { command: "essaim".into(), source })?;
        let text = [output.stdout, output.stderr].concat();
        Ok((String::from_utf8_lossy(&text).into_owned(), output.status.code()))
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // An error means that it had ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks it to end, as systemd would, and waits; after half a minute it is killed.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn stop(&mut self) -> Result<(), Error> {
        if let Some(process) = &mut self.process {
            Program::new("kill").args(["-TERM", &process.id().to_string()]).run()?;
            let ended = wait::until("essaim to end", Duration::from_secs(30), &"its log", || {
                process.try_wait().map_err(Error::file("wait for", "essaim"))
            });
            if ended.is_ok() {
                self.process = None;
            }
        }
        self.kill();
        Ok(())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.kill();
    }
}

fn static_token(login: &str) -> Value {
    serde_json::json!({"user": login, "groups": [], "sha256": hex::encode(Sha256::digest(token(login)))})
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port(host: &str) -> Result<u16, Error> {
    let bound = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
    Ok(bound.map_err(Error::file("bind a port on", host))?.port())
}
