//! Asks a notebook server whether it serves.
//!
//! `GET <base>/api` needs no token and does not count as activity. Only an answer with Jupyter's version counts: a port that
//! something else holds is no notebook.

use std::time::Duration;

use bytes::Bytes;
use essaim_api::Addresses;
use essaim_plan::notebook::{Probe, Reach};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Jupyter answers in milliseconds; a machine under load gets some more.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The answer is some thirty bytes.
const BODY_LIMIT: usize = 4096;

/// Probes notebook servers over the same way as the gateway reaches them.
#[derive(Clone, Debug)]
pub struct Prober {
    client: Client<HttpConnector, Empty<Bytes>>,
    reach: Reach,
}

impl Prober {
    /// A prober that uses the host or the overlay addresses.
    pub fn new(reach: Reach) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(TIMEOUT));
        // Nothing is kept open: a probe should learn whether a new caller gets through.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, reach }
    }

    /// Asks once. Never fails: a server that cannot be reached is [`Probe::Silent`] with the reason.
    pub(crate) async fn ask(&self, addresses: Option<&Addresses>, base: &str) -> Probe {
        let address = addresses.and_then(|addresses| match self.reach {
            Reach::HostPorts | Reach::Both(_) => addresses.host.as_deref(),
            Reach::Overlay(_) => addresses.overlay.as_deref(),
        });
        let Some(address) = address else {
            return Probe::NotTried;
        };
        match tokio::time::timeout(TIMEOUT, self.get(&format!("http://{address}{base}api"))).await {
            Ok(Ok(())) => Probe::Answered,
            Ok(Err(words)) => Probe::Silent(format!("{address}: {words}")),
            Err(_) => Probe::Silent(format!("{address}: no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    async fn get(&self, url: &str) -> Result<(), String> {
        let uri: http::Uri = url.parse().map_err(|_| "the address makes no URL".to_owned())?;
        let answer = self.client.get(uri).await.map_err(|error| crate::error::chain(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("answered {status}"));
        }
        let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await.map_err(|error| error.to_string())?;
        let document: serde_json::Value = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| "answered something that is not Jupyter's".to_owned())?;
        document.get("version").map(|_| ()).ok_or_else(|| "answered without Jupyter's version".to_owned())
    }
}
