//! Third step: what the Swarm has for this server, and whether Jupyter answers.

use std::time::Duration;

use essaim_api::names::reason;
use essaim_backend::{
    directory::Directory,
    swarm::{Error, Swarm},
};
use essaim_plan::notebook::{Look, Probe, Reason, Valid, Wanted, running_addresses};

use crate::{Context, error::chain};

/// A picture this young is young enough; after an action of this server's own a newer one is taken anyway.
const MAX_AGE: Duration = Duration::from_millis(100);

/// Looks. A failed look is [`Look::Unknown`], never an empty one.
pub(super) async fn observe<S: Swarm, D: Directory>(valid: &Valid, context: &Context<S, D>) -> Look {
    let observed = match context.swarm.observe(&valid.owner, MAX_AGE).await {
        Ok(observed) => observed,
        Err(Error::Off) => return Look::Off,
        Err(error) => {
            let message = format!("the Swarm cannot be seen, so nothing is changed: {}", chain(&error));
            return Look::Unknown(Reason { reason: reason::SWARM_UNREACHABLE.into(), message });
        }
    };
    let base = format!("/user/{}/{}/", valid.owner.namespace, valid.owner.name);
    // What is to end is not asked: an answer changes nothing, and waiting for one delays the end.
    let ends = matches!(valid.wanted, Wanted::Gone | Wanted::Suspended(_));
    let probe = match running_addresses(valid, &observed).filter(|_| !ends) {
        Some(addresses) => context.prober.ask(Some(&addresses), &base).await,
        None => Probe::NotTried,
    };
    Look::Seen(Box::new(observed), probe)
}
