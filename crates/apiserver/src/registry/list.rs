//! Many objects of one moment, in pages.

use essaim_store::{Error, Key, ListRequest, Record, Revision};

use super::{
    List, ListOptions, Presented, Registry, Scope, codec, commit::store_error, conversion, selection::Selection,
    tokens::Token,
};
use crate::{ApiError, error::Cause};

/// How many records are looked at together when a selector leaves out some.
const SELECTING_CHUNK: usize = 500;
/// Looking at so many objects is enough for one turn on the executor.
const TURN: usize = 256;

/// The moment that a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Moment {
    /// Now.
    Newest,
    /// Now, once the store has got there.
    NotOlderThan(Revision),
    /// Exactly then.
    Exact(Revision),
    /// That of the page before.
    Continued(Token),
}

/// A page being filled.
struct Filling {
    items: Vec<Presented>,
    revision: Revision,
    /// Where to go on: a key and the number of records behind it.
    rest: Option<(Key, usize)>,
}

impl Registry {
    /// A page of objects.
    pub(crate) async fn list(&self, scope: &Scope, options: ListOptions) -> Result<List, ApiError> {
        let moment = Moment::of(&options)?;
        let selection = Selection::new(options.selectors, &scope.resource)?;
        match &moment {
            Moment::NotOlderThan(revision) | Moment::Exact(revision) => self.wait_for(*revision).await?,
            Moment::Newest | Moment::Continued(_) => {}
        }
        if let (Some(key), Moment::Newest | Moment::NotOlderThan(_)) = (only_key(scope, &selection), &moment) {
            return self.list_one(scope, &selection, key).await;
        }
        self.list_page(scope, &selection, options.limit, moment).await
    }

    /// A selector that names the object needs no walk.
    async fn list_one(&self, scope: &Scope, selection: &Selection, key: Key) -> Result<List, ApiError> {
        let (record, revision) = self.store.get(&key).await.map_err(store_error)?;
        let records = conversion::served(record.into_iter().collect(), &scope.resource).await?;
        let found = records.first().map(|record| self.selected(record, scope, selection)).transpose()?;
        let items = found.flatten().into_iter().collect();
        Ok(List { items, revision, continue_token: None, remaining: None })
    }

    async fn list_page(
        &self,
        scope: &Scope,
        selection: &Selection,
        limit: usize,
        moment: Moment,
    ) -> Result<List, ApiError> {
        let prefix = codec::prefix(&scope.resource, scope.namespace.as_deref());
        let at = moment.at();
        let start = match &moment {
            Moment::Continued(token) => Some(Key::new(format!("{prefix}{}", token.start))),
            _ => None,
        };
        let filled =
            self.fill(scope, selection, limit, ListRequest { prefix: prefix.clone(), start, limit: 0, at }).await;
        let filled = filled.map_err(|error| match error {
            Filled::Store(error) => page_error(error, moment),
            Filled::Refused(error) => error,
        })?;
        let Filling { items, revision, rest } = filled;
        let remaining = rest.as_ref().filter(|_| selection.is_everything()).map(|(_, remaining)| *remaining);
        let continue_token = rest.map(|(key, _)| Token::after(key.as_str(), &prefix, revision).encode());
        Ok(List { items, revision, continue_token, remaining })
    }

    /// Looks at records until the page is full or nothing is left.
    async fn fill(
        &self,
        scope: &Scope,
        selection: &Selection,
        limit: usize,
        mut request: ListRequest,
    ) -> Result<Filling, Filled> {
        request.limit = if limit == 0 || selection.is_everything() { limit } else { limit.max(SELECTING_CHUNK) };
        let mut items = Vec::new();
        loop {
            let page = self.store.list(request.clone()).await?;
            let (count, mut last) = (page.records.len(), None);
            let records = conversion::served(page.records, &scope.resource).await?;
            for (at, record) in records.into_iter().enumerate() {
                if at % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
                items.extend(self.selected(&record, scope, selection)?);
                let behind = count - at - 1 + page.remaining;
                if limit > 0 && items.len() == limit && behind > 0 {
                    return Ok(Filling { items, revision: page.revision, rest: Some((record.key, behind)) });
                }
                last = Some(record.key);
            }
            let Some(last) = last.filter(|_| page.remaining > 0) else {
                return Ok(Filling { items, revision: page.revision, rest: None });
            };
            request.start = Some(Key::new(format!("{}\0", last.as_str())));
            request.at = Some(page.revision);
        }
    }

    fn selected(&self, record: &Record, scope: &Scope, selection: &Selection) -> Result<Option<Presented>, ApiError> {
        let object = self.codec.present(record, &scope.resource)?;
        let chosen = selection.is_everything() || selection.matches(&*object.value()?);
        Ok(Some(object).filter(|_| chosen))
    }
}

/// Why a page could not be filled.
enum Filled {
    Store(Error),
    Refused(ApiError),
}

impl From<Error> for Filled {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<ApiError> for Filled {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// The key of the only object that can match.
fn only_key(scope: &Scope, selection: &Selection) -> Option<Key> {
    let placed = scope.namespace.is_some() || !scope.resource.namespaced;
    let name = selection.only_name().filter(|name| placed && !name.is_empty() && !name.contains('/'))?;
    Some(codec::key(&scope.resource, scope.namespace.as_deref(), name))
}

/// A page whose moment is gone: a token helps to go on without it.
fn page_error(error: Error, moment: Moment) -> ApiError {
    match (error, moment) {
        // A moment that has not come is one of another store: to wait for it would not help.
        (Error::Compacted { .. } | Error::Future { .. }, Moment::Continued(token)) => {
            let mut error = ApiError::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
                 the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
                 Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
                 deleted between the time the first chunk was returned and now may show up in the list.",
            );
            error.continue_token = Some(token.inconsistent().encode().into());
            error
        }
        (Error::Compacted { .. }, _) => ApiError::expired("The resourceVersion for the provided list is too old."),
        (error, _) => store_error(error),
    }
}

impl Moment {
    /// What the parameters ask for, as Kubernetes reads them.
    fn of(options: &ListOptions) -> Result<Self, ApiError> {
        let revision = options.resource_version.as_deref().filter(|text| !text.is_empty());
        let rule = options.resource_version_match.as_deref().filter(|text| !text.is_empty());
        if let Some(token) = options.continue_token.as_deref().filter(|token| !token.is_empty()) {
            if rule.is_some() {
                return Err(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
            if revision.is_some_and(|revision| revision != "0") {
                return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
            }
            return Ok(Self::Continued(Token::decode(token)?));
        }
        let Some(text) = revision else {
            return if rule.is_some() {
                Err(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
            } else {
                Ok(Self::Newest)
            };
        };
        let revision = parse_revision(text)?;
        match rule {
            Some("Exact") if revision.0 == 0 => {
                Err(forbidden("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""))
            }
            Some("Exact") => Ok(Self::Exact(revision)),
            Some("NotOlderThan") => Ok(Self::NotOlderThan(revision)),
            Some(other) => Err(unsupported_match(other)),
            // As Kubernetes has always read a limit without a rule.
            None if options.limit > 0 && revision.0 > 0 => Ok(Self::Exact(revision)),
            None => Ok(Self::NotOlderThan(revision)),
        }
    }

    fn at(&self) -> Option<Revision> {
        match self {
            Self::Newest | Self::NotOlderThan(_) => None,
            Self::Exact(revision) => Some(*revision),
            Self::Continued(token) => token.revision,
        }
    }
}

/// A `resourceVersion` as sent.
pub(super) fn parse_revision(text: &str) -> Result<Revision, ApiError> {
    let refuse = |_| ApiError::bad_request(format!("Invalid value: {text:?}: the resource version is not a number"));
    text.parse().map(Revision).map_err(refuse)
}

/// A parameter that may not stand here.
pub(super) fn forbidden(message: &str) -> ApiError {
    let cause = Cause {
        reason: "FieldValueForbidden".into(),
        message: format!("Forbidden: {message}"),
        field: "resourceVersionMatch".into(),
    };
    ApiError::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
}

/// A rule that is none of the two.
pub(super) fn unsupported_match(given: &str) -> ApiError {
    let cause = Cause {
        reason: "FieldValueNotSupported".into(),
        message: format!("Unsupported value: {given:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
        field: "resourceVersionMatch".into(),
    };
    ApiError::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
}
