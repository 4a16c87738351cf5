//! One small Jupyter for all running tasks, told apart by base URL.

use std::{io, net::SocketAddr};

use hyper::StatusCode;
use serde_json::json;

use super::{
    Shared,
    server::{Answer, Asked, HangUp, Server},
};

/// Answers `<base_url>/api` and its neighbours for containers whose Jupyter has started; hangs up on everybody else, like a closed port.
pub(super) async fn serve(address: SocketAddr, world: Shared) -> io::Result<Server> {
    Server::listen(address, move |asked| {
        let answer = answer(&world, &asked);
        async move { answer }
    })
    .await
}

fn answer(world: &Shared, asked: &Asked) -> Result<Answer, HangUp> {
    let path = asked.target.split_once('?').map_or(asked.target.as_str(), |(path, _)| path);
    let world = world.now();
    let (base, started) = world.jupyter_at(path).ok_or(HangUp)?;
    let started = started.to_string();
    let body = match path.strip_prefix(base).unwrap_or_default().trim_matches('/') {
        "api" => json!({ "version": "2.14.2" }),
        "api/status" => json!({ "started": started, "last_activity": started, "kernels": 0, "connections": 0 }),
        "api/kernels" | "api/terminals" | "api/sessions" => json!([]),
        _ => return Ok(Answer::new(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }))),
    };
    Ok(Answer::new(StatusCode::OK, &body))
}
