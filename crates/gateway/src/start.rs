//! The button “Start again”: the one explicit act that starts a stopped server.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, Uri};

use crate::access::Right;
use crate::answer::{Asker, Refusal, respond};
use crate::auth::authenticate;
use crate::gateway::Shared;
use crate::origin;
use crate::path::is_label;
use crate::route::Key;
use crate::routes::Lookup;

/// `POST /servers/<namespace>/<name>/start`
pub(crate) async fn start(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let key = Key { namespace, name };
    match resume(&shared, &key, &uri, &headers).await {
        Ok(()) => Redirect::to(&format!("/user/{}/{}/", key.namespace, key.name)).into_response(),
        Err(refusal) => respond(refusal, &Asker::of_form(&headers)),
    }
}

/// Starts the server if its user may change it. Our own rights are wider, so theirs are asked for first.
async fn resume(shared: &Shared, key: &Key, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if !is_label(&key.namespace) || !is_label(&key.name) {
        return Err(Refusal::BadPath("the namespace and the name are lower case letters, digits and hyphens"));
    }
    let caller = authenticate(shared, headers).await?;
    if caller.by_cookie && !origin::is_same(headers, origin::host(uri, headers)) {
        return Err(Refusal::CrossOrigin);
    }
    if !shared.access.may(&caller.identity, Right::to_patch(key)).await? {
        return Err(Refusal::Forbidden);
    }
    match shared.routes.find(key) {
        Lookup::NotLoaded => return Err(Refusal::NotLoaded),
        Lookup::Absent => return Err(Refusal::NotFound),
        Lookup::Found(_) => {}
    }
    shared.access.resume(key).await?;
    tracing::info!(
        namespace = key.namespace,
        name = key.name,
        login = caller.identity.login,
        "started a server again for its user"
    );
    Ok(())
}
