//! `--swarm off`: nothing exists there and nothing can be made.

use std::time::Duration;

use essaim_backend::swarm::{Action, Changed, Error, Observed, Owner};
use futures::{StreamExt, stream::BoxStream};

/// The backend of a site without a Swarm: everything is answered with [`Error::Off`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SwarmOff;

impl essaim_backend::swarm::Swarm for SwarmOff {
    async fn observe(&self, _: &Owner, _: Duration) -> Result<Observed, Error> {
        Err(Error::Off)
    }

    async fn apply(&self, _: &Owner, _: &Action) -> Result<(), Error> {
        Err(Error::Off)
    }

    fn changes(&self) -> BoxStream<'static, Changed> {
        futures::stream::pending().boxed()
    }
}
