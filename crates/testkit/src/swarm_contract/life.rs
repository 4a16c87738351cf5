//! The life of a service, from its secret to the last of its containers.

use std::{collections::BTreeMap, time::Duration};

use essaim_api::names::label;
use essaim_backend::swarm::{Action, Changed, Error, Observed, ServiceSpec, Swarm, Task, TaskState};
use futures::StreamExt;

use super::{Case, LIMIT, Site};

pub(super) async fn a_service_lives_and_dies(swarm: &impl Swarm, site: &Site<'_>) {
    let case = Case::new(swarm, site, "life");
    let secret = format!("{}-secret", site.prefix);
    let changes = swarm.changes();
    secret_is_made_once(&case, &secret).await;
    let spec = case.full(site, &secret);
    service_is_made_once(&case, &spec).await;
    changes_are_hinted(changes, &case.owner.uid).await;
    let first = case.running(|task| task.host_port.is_some() && task.overlay_address.is_some()).await;
    port_answers(&case, &first).await;
    assert_eq!(first.force_update, 7);
    assert_eq!((first.exit_code, first.error.as_deref()), (None, None));
    let spec = labels_restart_nothing(&case, spec, &first).await;
    stale_versions_are_refused(&case, &spec).await;
    raising_force_update_restarts(&case, &spec, &first).await;
    end(&case, &secret).await;
}

async fn secret_is_made_once<S: Swarm>(case: &Case<'_, S>, secret: &str) {
    case.apply(case.create_secret(secret)).await;
    case.apply(case.create_secret(secret)).await;
    let names: Vec<String> = case.look().await.secrets.into_iter().map(|secret| secret.name).collect();
    assert_eq!(names, [secret]);
    let taken = case.swarm.apply(&case.stranger(), &case.create_secret(secret)).await;
    assert!(matches!(taken, Err(Error::NameTaken { .. })), "a secret of somebody else: {taken:?}");
}

async fn service_is_made_once<S: Swarm>(case: &Case<'_, S>, spec: &ServiceSpec) {
    let create = Action::CreateService(Box::new(spec.clone()));
    case.apply(create.clone()).await;
    let made = case.service().await;
    assert_eq!(made.spec, *spec, "what Docker holds reads as what was asked for");
    case.apply(create.clone()).await;
    assert_eq!(case.service().await.id, made.id, "creating again makes nothing");
    let taken = case.swarm.apply(&case.stranger(), &create).await;
    assert!(matches!(taken, Err(Error::NameTaken { .. })), "a service of somebody else: {taken:?}");
}

async fn changes_are_hinted(mut changes: futures::stream::BoxStream<'static, Changed>, uid: &str) {
    let hinted = async {
        while let Some(changed) = changes.next().await {
            if changed == Changed::Everybody || changed == Changed::Owner(uid.to_owned()) {
                return;
            }
        }
        panic!("the stream of hints ended");
    };
    tokio::time::timeout(LIMIT, hinted).await.expect("a new service is hinted at");
}

async fn port_answers<S: Swarm>(case: &Case<'_, S>, task: &Task) {
    let Observed { nodes, .. } = case.look().await;
    let node = nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref()).expect("the task's machine is listed");
    assert!(node.reachable && node.schedulable && node.memory_bytes > 0 && node.nano_cpus > 0, "{node:?}");
    let address = (node.address.clone(), task.host_port.expect("a host port"));
    let connection = tokio::time::timeout(Duration::from_secs(10), async {
        // The process needs a moment between its start and listening.
        while tokio::net::TcpStream::connect(address.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    connection.await.unwrap_or_else(|_| panic!("nothing listens at {address:?}"));
}

async fn labels_restart_nothing<S: Swarm>(case: &Case<'_, S>, mut spec: ServiceSpec, running: &Task) -> ServiceSpec {
    let before = case.service().await;
    spec.labels.insert(label::GENERATION.to_owned(), "2".to_owned());
    let update = Action::UpdateService { id: before.id.clone(), version: before.version, spec: Box::new(spec.clone()) };
    case.apply(update.clone()).await;
    let after = case.service().await;
    assert_eq!(after.spec, spec);
    assert!(after.version > before.version);
    case.apply(update).await;
    assert_eq!(case.service().await.version, after.version, "an update that was made already changes nothing more");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tasks = case.service().await.tasks;
    assert_eq!(tasks.iter().map(|task| &task.id).collect::<Vec<_>>(), [&running.id], "labels restart nothing");
    spec
}

async fn stale_versions_are_refused<S: Swarm>(case: &Case<'_, S>, spec: &ServiceSpec) {
    let service = case.service().await;
    let other = ServiceSpec { hostname: "somewhere-else".to_owned(), ..spec.clone() };
    let stale =
        Action::UpdateService { id: service.id.clone(), version: service.version - 1, spec: Box::new(other.clone()) };
    assert!(matches!(case.refusal(stale).await, Error::Conflict { .. }));
    let gone = Action::UpdateService { id: "nonesuch".to_owned(), version: 1, spec: Box::new(other) };
    assert!(matches!(case.refusal(gone).await, Error::Conflict { .. }));
    assert_eq!(case.service().await.version, service.version);
}

async fn raising_force_update_restarts<S: Swarm>(case: &Case<'_, S>, spec: &ServiceSpec, first: &Task) {
    let service = case.service().await;
    let raised = ServiceSpec { force_update: spec.force_update + 1, ..spec.clone() };
    case.apply(Action::UpdateService { id: service.id, version: service.version, spec: Box::new(raised.clone()) })
        .await;
    let second = case.running(|task| task.id != first.id).await;
    assert_eq!(second.force_update, raised.force_update);
    let service = case.service().await;
    assert_eq!(service.spec, raised);
    assert!(
        service.tasks.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at),
        "the newest task comes first"
    );
    let old = service.tasks.iter().find(|task| task.id == first.id).expect("the first task is history");
    assert!(!old.wanted && !old.state.may_run(), "the old container stopped first: {old:?}");
    case.eventually("the end of the update", |observed| {
        observed.services.first()?.update.as_ref().filter(|update| update.state == "completed").map(|_| ())
    })
    .await;
}

async fn end<S: Swarm>(case: &Case<'_, S>, secret: &str) {
    let observed = case.look().await;
    let [service] = observed.services.as_slice() else { panic!("one service: {observed:#?}") };
    let found = observed.secrets.iter().find(|found| found.name == secret).expect("the secret");
    let remove_secret = Action::RemoveSecret { id: found.id.clone() };
    assert!(matches!(case.refusal(remove_secret.clone()).await, Error::InUse { .. }));
    let remove_service = Action::RemoveService { id: service.id.clone() };
    case.apply(remove_service.clone()).await;
    assert_eq!(case.look().await.services, [], "a removed service is gone at once");
    case.apply(remove_service).await;
    case.eventually("the end of the container", |observed| observed.leftover.is_empty().then_some(())).await;
    case.apply(remove_secret.clone()).await;
    case.apply(remove_secret).await;
    let observed = case.look().await;
    assert!(
        observed.services.is_empty() && observed.secrets.is_empty() && observed.leftover.is_empty(),
        "{observed:#?}"
    );
}

pub(super) async fn a_container_that_ends_is_not_started_again(swarm: &impl Swarm, site: &Site<'_>) {
    for (name, code, state) in [("fails", 3, TaskState::Failed), ("completes", 0, TaskState::Complete)] {
        let case = Case::new(swarm, site, name);
        let command = vec!["sh".to_owned(), "-c".to_owned(), format!("exit {code}")];
        let spec = ServiceSpec { command, args: Vec::new(), env: BTreeMap::new(), ..case.plain(site) };
        case.apply(Action::CreateService(Box::new(spec))).await;
        let task = case
            .eventually("the end of the container", |observed| {
                let task = observed.services.first()?.tasks.first()?;
                (task.state > TaskState::Running).then(|| task.clone())
            })
            .await;
        assert_eq!((task.state, task.exit_code), (state, Some(code)), "{task:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let service = case.service().await;
        assert_eq!(service.tasks.len(), 1, "Swarm starts nothing by itself: {service:#?}");
        case.apply(Action::RemoveService { id: service.id }).await;
    }
}
