//! From the raw object to what is wanted, or a refusal in words.

use essaim_api::{NotebookClassSpec, NotebookImage, NotebookServer, UpdateStrategy, names};
use essaim_backend::{directory::Account, swarm::Owner};

use super::{
    Desired, Reason, Site, Valid, Wanted,
    desired::{self, Request},
};

/// Most bytes of a manifest's environment: it is part of every picture of the Swarm, whose own transactions end at 1.5 MB.
const ENVIRONMENT_LIMIT: usize = 64 << 10;

/// What was found out about a server's surroundings before it is validated.
#[derive(Clone, Debug)]
pub struct Lookups {
    /// Its class.
    pub class: ClassLookup,
    /// Its login's account, `None` if the directory knows none, or the reason why the directory did not answer.
    pub account: Result<Option<Account>, String>,
}

/// What is known of a class.
#[derive(Clone, Debug)]
pub enum ClassLookup {
    /// It exists.
    Found(Box<NotebookClassSpec>),
    /// There is none of that name.
    Missing,
}

/// Says what is wanted of a server.
///
/// Never fails: what cannot be carried out is [`Wanted::Refused`] with the reason.
pub fn validate(server: &NotebookServer, lookups: &Lookups, site: &Site) -> Valid {
    let metadata = &server.metadata;
    let owner = Owner {
        uid: metadata.uid.clone().unwrap_or_default(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    };
    let generation = metadata.generation.unwrap_or_default();
    let wanted = if metadata.deletion_timestamp.is_some() {
        Wanted::Gone
    } else if server.spec.suspend {
        Wanted::Suspended(suspended_by(server))
    } else {
        match desire(server, &owner, generation, lookups, site) {
            Ok(desired) => Wanted::Running(Box::new(desired)),
            Err(refusal) => Wanted::Refused(refusal),
        }
    };
    let has_finalizer = metadata.finalizers.iter().flatten().any(|finalizer| finalizer == names::FINALIZER);
    Valid { owner, generation, wanted, has_finalizer, reported: server.status.clone().unwrap_or_default() }
}

fn desire(
    server: &NotebookServer,
    owner: &Owner,
    generation: i64,
    lookups: &Lookups,
    site: &Site,
) -> Result<Desired, Reason> {
    let ClassLookup::Found(class) = &lookups.class else {
        let message =
            format!("there is no NotebookClass {:?}; `kubectl get nbc` shows which there are", server.spec.class);
        return Err(Reason::new(names::reason::CLASS_NOT_FOUND, message));
    };
    let account = account(owner, lookups)?;
    check_bounds(server, class)?;
    let request = Request { server, owner, generation, class, image: choose_image(server, class)?, account, site };
    let service = desired::service(&request).map_err(|words| Reason::new(names::reason::INVALID_SPEC, words))?;
    let (secret_name, secret) = desired::secret(owner, site);
    let immediate = class.update_strategy == UpdateStrategy::Immediate;
    Ok(Desired { service, secret, secret_name, immediate, restart_limit: class.restart_limit })
}

fn account<'a>(owner: &Owner, lookups: &'a Lookups) -> Result<&'a Account, Reason> {
    let login = &owner.namespace;
    match &lookups.account {
        Ok(Some(account)) => Ok(account),
        Ok(None) => {
            let message = format!(
                "unknown login: the directory knows no account {login:?}, and a namespace is named after its user"
            );
            Err(Reason::new(names::reason::UNKNOWN_LOGIN, message))
        }
        Err(words) => {
            let message = format!("the directory did not answer about login {login:?}: {words}");
            Err(Reason::new(names::reason::DIRECTORY_UNAVAILABLE, message))
        }
    }
}

fn choose_image<'a>(server: &NotebookServer, class: &'a NotebookClassSpec) -> Result<&'a NotebookImage, Reason> {
    let offered = || class.images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match &server.spec.image {
        None => class.images.first(),
        Some(name) => class.images.iter().find(|image| image.name == *name),
    };
    chosen.ok_or_else(|| {
        let name = server.spec.image.as_deref().unwrap_or_default();
        let message = format!("the class {:?} has no image {name:?}; it has {}", server.spec.class, offered());
        Reason::new(names::reason::INVALID_SPEC, message)
    })
}

fn check_bounds(server: &NotebookServer, class: &NotebookClassSpec) -> Result<(), Reason> {
    let spec = &server.spec;
    let refuse = |what: &str, asked: &dyn std::fmt::Display, limit: &dyn std::fmt::Display| {
        let message = format!("{what} {asked} is more than the {limit} that the class {:?} allows", spec.class);
        Err(Reason::new(names::reason::INVALID_SPEC, message))
    };
    let environment: usize = spec.env.iter().map(|variable| variable.name.len() + variable.value.len()).sum();
    if environment > ENVIRONMENT_LIMIT {
        let message =
            format!("env takes {environment} bytes, which is more than the {ENVIRONMENT_LIMIT} that a server may have");
        return Err(Reason::new(names::reason::INVALID_SPEC, message));
    }
    match (&spec.memory, &class.resources.memory.max) {
        (Some(asked), Some(limit)) if asked.bytes() > limit.bytes() => return refuse("memory", asked, limit),
        _ => {}
    }
    match (&spec.cpu, &class.resources.cpu.max) {
        (Some(asked), Some(limit)) if asked.nanos() > limit.nanos() => refuse("cpu", asked, limit),
        _ => Ok(()),
    }
}

/// Who suspended a server, told from who owns the field: this survives the loss of every status.
fn suspended_by(server: &NotebookServer) -> Reason {
    let owns_suspend = |manager: &str| {
        let entries = server.metadata.managed_fields.iter().flatten();
        let mut owned = entries.filter(|entry| entry.manager.as_deref() == Some(manager));
        owned
            .any(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:suspend").is_some()))
    };
    if owns_suspend(names::field_manager::NOTEBOOK_SERVER) {
        let message = "its user chose Shut Down in Jupyter; set spec.suspend to false to start it again";
        return Reason::new(names::reason::SHUT_DOWN_IN_JUPYTER, message);
    }
    Reason::new(names::reason::SUSPENDED_BY_REQUEST, "spec.suspend is true; set it to false to start the server again")
}
