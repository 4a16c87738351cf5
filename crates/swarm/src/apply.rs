//! Changes to the Swarm, each safe to repeat.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use essaim_backend::swarm::{Action, Error, Owner, SecretContent, ServiceSpec};
use serde_json::{Value, json};

use crate::{
    calls::Kind,
    docker::{Call, Docker, decode, filters, percent_encoded},
    failure::Failure,
    from_swarm::{self, from_swarm, has_tag, labels},
    picture::{RawSecret, RawService, owner_uid},
    to_swarm::to_swarm,
};

/// Carries out one action and logs it if it changed anything.
pub(crate) async fn apply(docker: &Docker, owner: &Owner, action: &Action) -> Result<(), Error> {
    match action {
        Action::CreateSecret { name, labels, content } => create_secret(docker, owner, name, labels, content).await,
        Action::CreateService(spec) => create_service(docker, owner, spec).await,
        Action::UpdateService { id, version, spec } => update_service(docker, owner, id, *version, spec).await,
        Action::RelabelService { id, version, labels } => relabel_service(docker, owner, id, *version, labels).await,
        Action::RemoveService { id } => remove_service(docker, owner, id).await,
        Action::RemoveSecret { id } => remove_secret(docker, owner, id).await,
    }
}

async fn create_secret(
    docker: &Docker,
    owner: &Owner,
    name: &str,
    labels: &BTreeMap<String, String>,
    content: &SecretContent,
) -> Result<(), Error> {
    const OPERATION: &str = "create the secret";
    let body = json!({ "Name": name, "Labels": labels, "Data": BASE64_STANDARD.encode(&content.0) });
    match docker.call(Call::post(Kind::Create, "/secrets/create", body)).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                secret = name,
                "secret created"
            );
            Ok(())
        }
        Err(failure) if failure.is_name_taken() => check_owner(docker, owner, "/secrets/", name, OPERATION).await,
        Err(failure) => Err(failure.into_error(OPERATION)),
    }
}

async fn create_service(docker: &Docker, owner: &Owner, spec: &ServiceSpec) -> Result<(), Error> {
    const OPERATION: &str = "create the service";
    let body = body(docker, spec, OPERATION).await?;
    match docker.call(Call::post(Kind::Create, "/services/create", body)).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                service = spec.name,
                "service created"
            );
            Ok(())
        }
        Err(failure) if failure.is_name_taken() => {
            check_owner(docker, owner, "/services/", &spec.name, OPERATION).await
        }
        Err(failure) => Err(failure.into_error(OPERATION)),
    }
}

async fn update_service(
    docker: &Docker,
    owner: &Owner,
    id: &str,
    version: u64,
    spec: &ServiceSpec,
) -> Result<(), Error> {
    const OPERATION: &str = "update the service";
    let body = body(docker, spec, OPERATION).await?;
    let path = format!("/services/{}/update?version={version}", percent_encoded(id));
    match docker.call(Call::post(Kind::Update, path, body)).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                service = spec.name,
                "service updated"
            );
            Ok(())
        }
        Err(failure) if failure.is_out_of_sequence() => {
            let current = inspect(docker, "/services/", id).await.map_err(|failure| failure.into_error(OPERATION))?;
            if current.is_some_and(|current| is_already(&current, spec)) {
                Ok(())
            } else {
                Err(Error::Conflict { id: id.to_owned() })
            }
        }
        Err(failure) if failure.is_not_found() => Err(Error::Conflict { id: id.to_owned() }),
        Err(failure) => Err(failure.into_error(OPERATION)),
    }
}

/// Sends back what Docker holds, with other labels: a specification written anew could differ in what newer engines know, and restart.
async fn relabel_service(
    docker: &Docker,
    owner: &Owner,
    id: &str,
    version: u64,
    labels: &BTreeMap<String, String>,
) -> Result<(), Error> {
    const OPERATION: &str = "relabel the service";
    let conflict = || Error::Conflict { id: id.to_owned() };
    let found = inspect(docker, "/services/", id).await.map_err(|failure| failure.into_error(OPERATION))?;
    let RawService { mut spec, version: found_at, .. } = found.ok_or_else(conflict)?;
    if from_swarm::labels(&spec["Labels"]) == *labels {
        return Ok(());
    }
    if found_at.index != version {
        return Err(conflict());
    }
    spec["Labels"] = json!(labels);
    let path = format!("/services/{}/update?version={version}", percent_encoded(id));
    match docker.call(Call::post(Kind::Update, path, spec)).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                service_id = id,
                "service relabelled"
            );
            Ok(())
        }
        Err(failure) if failure.is_out_of_sequence() || failure.is_not_found() => Err(conflict()),
        Err(failure) => Err(failure.into_error(OPERATION)),
    }
}

async fn remove_service(docker: &Docker, owner: &Owner, id: &str) -> Result<(), Error> {
    match docker.call(Call::delete(format!("/services/{}", percent_encoded(id)))).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                service_id = id,
                "service removed"
            );
            Ok(())
        }
        Err(failure) if failure.is_not_found() => Ok(()),
        Err(failure) => Err(failure.into_error("remove the service")),
    }
}

async fn remove_secret(docker: &Docker, owner: &Owner, id: &str) -> Result<(), Error> {
    match docker.call(Call::delete(format!("/secrets/{}", percent_encoded(id)))).await {
        Ok(_) => {
            tracing::info!(
                namespace = owner.namespace,
                name = owner.name,
                uid = owner.uid,
                secret_id = id,
                "secret removed"
            );
            Ok(())
        }
        Err(failure) if failure.is_not_found() => Ok(()),
        Err(failure) if failure.is_in_use() => Err(Error::InUse { id: id.to_owned() }),
        Err(failure) => Err(failure.into_error("remove the secret")),
    }
}

/// What is sent for a service.
async fn body(docker: &Docker, spec: &ServiceSpec, operation: &'static str) -> Result<Value, Error> {
    if spec.image.split_once('@').is_some_and(|(name, _)| has_tag(name)) {
        // Docker adds digests to tags by itself, so ours could not be told from its: every look would find drift.
        let message = format!("the image {:?} names both a tag and a digest; name one of them", spec.image);
        return Err(Error::Refused { operation, message });
    }
    let version = docker.version().await.map_err(|failure| failure.into_error(operation))?;
    let secrets = secret_ids(docker, spec).await.map_err(|failure| failure.into_error(operation))?;
    if let Some(missing) = spec.secrets.iter().find(|file| !secrets.contains_key(&file.secret)) {
        return Err(Error::Refused { operation, message: format!("secret not found: {}", missing.secret) });
    }
    Ok(to_swarm(spec, &secrets, version))
}

/// Ids of the secrets that a service uses, by name: Docker takes nothing else.
async fn secret_ids(docker: &Docker, spec: &ServiceSpec) -> Result<BTreeMap<String, String>, Failure> {
    if spec.secrets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<&str> = spec.secrets.iter().map(|file| file.secret.as_str()).collect();
    let answer = docker.call(Call::get(Kind::ListSecrets, format!("/secrets{}", filters(&[("name", &names)])))).await?;
    let secrets: Option<Vec<RawSecret>> = decode(&answer)?;
    // The filter also lets through names that merely contain one of ours.
    let named = |RawSecret { id, spec }| Some((spec["Name"].as_str()?.to_owned(), id));
    Ok(secrets.into_iter().flatten().filter_map(named).filter(|(name, _)| names.contains(&name.as_str())).collect())
}

/// Success if what bears the name already is the owner's.
async fn check_owner(
    docker: &Docker,
    owner: &Owner,
    path: &str,
    name: &str,
    operation: &'static str,
) -> Result<(), Error> {
    let found = inspect(docker, path, name).await.map_err(|failure| failure.into_error(operation))?;
    match found {
        Some(found) if owner_uid(&labels(&found.spec["Labels"])) == Some(&owner.uid) => Ok(()),
        Some(_) => Err(Error::NameTaken { name: name.to_owned() }),
        None => {
            let gone =
                Failure::Answer { status: 409, message: "the name was in use a moment ago and is free now".to_owned() };
            Err(Error::Unreachable { operation, source: Box::new(gone) })
        }
    }
}

/// A service, or a secret: what we need of both has the same shape. `None` if there is none.
async fn inspect(docker: &Docker, path: &str, name: &str) -> Result<Option<RawService>, Failure> {
    match docker.call(Call::get(Kind::Inspect, format!("{path}{}", percent_encoded(name)))).await {
        Ok(answer) => decode(&answer).map(Some),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether a service already is what an update would make of it; networks, which only restart a container, are compared by the next look.
fn is_already(current: &RawService, spec: &ServiceSpec) -> bool {
    let mut current = from_swarm(&current.spec, &BTreeMap::new());
    current.networks.clone_from(&spec.networks);
    current == *spec
}
