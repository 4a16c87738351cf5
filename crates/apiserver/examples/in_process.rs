//! An API server inside a program, as a test wants it: a kind of one's own, and an ordinary client that creates, applies
//! and watches. `cargo run -p essaim-apiserver --example in_process`

use std::{error::Error, io::Write, sync::Arc};

use essaim_apiserver::{ApiServer, Clock, Options, UserInfo};
use essaim_store::Embedded;
use futures::TryStreamExt as _;
use kube::{
    Api, Client, CustomResource, CustomResourceExt as _, ResourceExt as _,
    api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A thing to play with.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "toys.test", version = "v1", kind = "Widget", namespaced)]
struct WidgetSpec {
    color: String,
    #[serde(default)]
    size: i32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tour(&mut std::io::stdout()).await
}

/// Says in `out` what it does.
pub(crate) async fn tour(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let server = server().await?;
    // One client for each controller: they share nothing but the server.
    let client = Client::new(server.in_process(UserInfo::new("tester", ["system:masters"])), "default");
    let widgets: Api<Widget> = Api::default_namespaced(client);

    let made = widgets.create(&PostParams::default(), &widget("red")).await?;
    writeln!(out, "created {}: {}", made.name_any(), made.spec.color)?;

    let changes = widgets.watch(&WatchParams::default(), &made.resource_version().unwrap_or_default()).await?;
    let apply = PatchParams::apply("example").force();
    let applied = widgets.patch("one", &apply, &Patch::Apply(widget("green"))).await?;
    writeln!(
        out,
        "applied {}: {}, generation {:?}",
        applied.name_any(),
        applied.spec.color,
        applied.metadata.generation
    )?;

    let mut changes = std::pin::pin!(changes);
    if let Some(WatchEvent::Modified(seen)) = changes.try_next().await? {
        writeln!(out, "watched {}: {}", seen.name_any(), seen.spec.color)?;
    }
    Ok(())
}

/// A server over a store in memory, which serves widgets.
async fn server() -> Result<ApiServer, Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example is its own composition root")]
    let clock: Clock = Arc::new(jiff::Timestamp::now);
    let mut options = Options::new(clock);
    // Served when `start` returns; a client may also apply it later, and wait until it is Established.
    options.bootstrap_manifests = vec![serde_json::to_value(Widget::crd())?];
    let store = Embedded::in_memory(essaim_store::Options::default())?;
    Ok(ApiServer::start(store, options).await?)
}

fn widget(color: &str) -> Widget {
    Widget::new("one", WidgetSpec { color: color.to_owned(), size: 2 })
}
