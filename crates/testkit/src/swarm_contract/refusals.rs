//! What the Swarm does not take, and what it cannot start.

use essaim_backend::swarm::{Action, Error, HostPort, Mount, Propagation, SecretFile, ServiceSpec, Swarm, TaskState};

use super::{Case, Site};

pub(super) async fn what_cannot_be_is_refused_in_words(swarm: &impl Swarm, site: &Site<'_>) {
    let case = Case::new(swarm, site, "refused");
    let plain = case.plain(site);
    let long = format!("{}-{}", site.prefix, "x".repeat(63 - site.prefix.len()));
    let nobodys = SecretFile {
        file: "token".into(),
        secret: format!("{}-nonesuch", site.prefix),
        uid: 5001,
        gid: 5100,
        mode: 0o400,
    };
    let refused = [
        (ServiceSpec { name: long, ..plain.clone() }, "63 characters"),
        (ServiceSpec { networks: vec!["nonesuch".into()], ..plain.clone() }, "nonesuch not found"),
        (ServiceSpec { secrets: vec![nobodys], ..plain.clone() }, "secret not found"),
        (
            ServiceSpec { image: format!("{}@sha256:{}", site.image, "0".repeat(64)), ..plain.clone() },
            "both a tag and a digest",
        ),
    ];
    for (spec, words) in refused {
        match case.refusal(Action::CreateService(Box::new(spec))).await {
            Error::Refused { message, .. } => {
                assert!(message.contains(words) && !message.contains("rpc error"), "{message}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    assert_eq!(case.look().await.services, []);
    let longest = ServiceSpec { name: format!("{}-{}", site.prefix, "y".repeat(62 - site.prefix.len())), ..plain };
    assert_eq!(longest.name.len(), 63);
    case.apply(Action::CreateService(Box::new(longest.clone()))).await;
    let service = case.service().await;
    assert_eq!(service.spec, longest);
    case.apply(Action::RemoveService { id: service.id }).await;
}

pub(super) async fn what_cannot_start_says_why(swarm: &impl Swarm, site: &Site<'_>) {
    let case = Case::new(swarm, site, "missing");
    let missing = Mount {
        target: "/data".into(),
        source: format!("{}/nonesuch", site.directory),
        read_only: false,
        propagation: Propagation::Rprivate,
    };
    let spec = ServiceSpec { mounts: vec![missing], host_port: Some(HostPort { target: 8888 }), ..case.plain(site) };
    stuck(&case, spec, TaskState::Rejected, "bind source path does not exist").await;
    let case = Case::new(swarm, site, "nowhere");
    let spec = ServiceSpec { constraints: vec!["node.labels.nonesuch==x".into()], ..case.plain(site) };
    stuck(&case, spec, TaskState::Pending, "no suitable node").await;
}

async fn stuck<S: Swarm>(case: &Case<'_, S>, spec: ServiceSpec, state: TaskState, words: &str) {
    case.apply(Action::CreateService(Box::new(spec))).await;
    let error = case
        .eventually(words, |observed| {
            let task = observed.services.first()?.tasks.first()?;
            task.error.clone().filter(|_| task.state == state)
        })
        .await;
    assert!(error.contains(words), "{error}");
    let service = case.service().await;
    case.apply(Action::RemoveService { id: service.id }).await;
}
