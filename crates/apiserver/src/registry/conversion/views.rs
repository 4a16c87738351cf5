//! An object in the versions of its owners, for those who settle who owns what.
//!
//! Ownership is computed without waiting. What it needs in another version and nobody has yet ends the computation; then it is asked for,
//! and the computation begins again. It comes to the same each time, so each round gets further.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use essaim_structured_merge::{Error, Schema, Versions};
use serde_json::Value;

use super::Converter;
use crate::{ApiError, catalogue::Resource};

/// More rounds than any number of versions takes.
const ROUNDS: usize = 100;
/// So long an ordinary write waits for the sake of ownership.
const OWNERSHIP_PATIENCE: Duration = Duration::from_secs(5);

/// What to do when the webhook gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Without {
    /// Refuse: nothing can be decided.
    Fail,
    /// Go on: owners in other versions keep what they have.
    GoOn,
}

/// What is known of an object in other versions.
#[derive(Default)]
pub(in crate::registry) struct Views {
    converter: Option<Arc<Converter>>,
    /// An object, a version, and the object in that version.
    known: Vec<(Value, String, Value)>,
    /// A std mutex: it is held to add to the list.
    missing: Mutex<Vec<(Value, String)>>,
    gave_up: bool,
}

impl Versions for Views {
    fn schema(&self, version: &str) -> Option<&Schema> {
        self.converter.as_ref()?.merge_schema(version)
    }

    fn convert(&self, object: &Value, version: &str) -> Result<Option<Value>, Error> {
        if self.gave_up {
            return Ok(None);
        }
        let known = self.known.iter().find(|(from, to, _)| to == version && from == object);
        if let Some((.., converted)) = known {
            return Ok(Some(converted.clone()));
        }
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.push((object.clone(), version.to_owned()));
        Err(Error::Unconverted(version.to_owned()))
    }
}

impl Views {
    fn missing(&mut self) -> Vec<(Value, String)> {
        mem::take(self.missing.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for everything that is wanted in the version of the first.
    async fn ask(&mut self, missing: Vec<(Value, String)>, without: Without) -> Result<(), ApiError> {
        let (Some(converter), Some((_, version))) = (self.converter.clone(), missing.first().cloned()) else {
            return Ok(());
        };
        let objects: Vec<Value> =
            missing.into_iter().filter(|(_, other)| *other == version).map(|(object, _)| object).collect();
        let asked = Box::pin(converter.convert(objects.clone(), &version));
        let answer = match without {
            Without::Fail => asked.await,
            Without::GoOn => {
                let timeout = tokio::time::timeout(OWNERSHIP_PATIENCE, asked).await;
                timeout.unwrap_or_else(|_| Err(converter.failure("no answer in time about owners in other versions")))
            }
        };
        match answer {
            Ok(converted) => {
                let views = objects.into_iter().zip(converted).map(|(from, to)| (from, version.clone(), to));
                self.known.extend(views);
                Ok(())
            }
            Err(_) if without == Without::GoOn => {
                self.gave_up = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Does work that may need an object in the versions of its owners.
pub(in crate::registry) async fn across<T>(
    resource: &Resource,
    without: Without,
    work: impl Fn(&Views) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let mut views = Views { converter: resource.conversion.clone(), ..Views::default() };
    for _ in 0..ROUNDS {
        let missing = {
            let outcome = work(&views);
            let missing = views.missing();
            if missing.is_empty() {
                return outcome;
            }
            missing
        };
        Box::pin(views.ask(missing, without)).await?;
    }
    Err(ApiError::internal("ownership needs more versions than there are"))
}
