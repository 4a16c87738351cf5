//! The parameters of a request.
//!
//! Empty pairs are tolerated (`?&watch=true` is what kube-rs sends); values that Kubernetes refuses are refused by name;
//! parameters that Kubernetes does not know are ignored, as it does.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    ApiError,
    error::Cause,
    registry::{FieldValidation, Selectors},
    wire::{FieldSelector, LabelSelector},
};

/// A moment further away may be one that the clock cannot express.
const LONGEST_WATCH: Duration = Duration::from_hours(24);

/// The parameters, by name; the first of several equal names counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the part of the address behind the question mark.
    pub(crate) fn parse(uri: &http::Uri) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| ApiError::bad_request("the query cannot be read"))?;
        let mut found = BTreeMap::new();
        for (name, value) in pairs.0 {
            found.entry(name).or_insert(value);
        }
        Ok(Self(found))
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    /// A parameter as sent, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter as sent, unless it is empty, to keep.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// True unless absent, `false` or `0`: Kubernetes takes every other word, and the bare name, as yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// A flag that may be absent.
    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        self.0.contains_key(name).then(|| self.flag(name))
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let refuse = |value: &str| ApiError::bad_request(format!("{name}: parsing {value:?}: invalid syntax"));
        self.text(name).map(|value| value.parse().map_err(|_| refuse(value))).transpose()
    }

    /// `labelSelector` and `fieldSelector`.
    pub(crate) fn selectors(&self) -> Result<Selectors, ApiError> {
        Ok(Selectors {
            labels: LabelSelector::parse(self.text("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(self.text("fieldSelector").unwrap_or_default())?,
        })
    }

    /// `dryRun`: `All`, or absent.
    pub(crate) fn dry_run(&self) -> Result<bool, ApiError> {
        match self.text("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(unsupported("dryRun", other, &["All"])),
        }
    }

    /// `fieldValidation`
    pub(crate) fn field_validation(&self) -> Result<FieldValidation, ApiError> {
        match self.text("fieldValidation") {
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Ignore") => Ok(FieldValidation::Ignore),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => Err(unsupported("fieldValidation", other, &["Ignore", "Strict", "Warn"])),
        }
    }

    /// `propagationPolicy`, or what the older `orphanDependents` means.
    pub(crate) fn propagation_policy(&self) -> Result<Option<String>, ApiError> {
        propagation(self.text("propagationPolicy"), self.optional_flag("orphanDependents"))
    }

    /// `timeoutSeconds` of a watch; 0 counts as absent, and more than a day as a day.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        let seconds = self.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        Ok(seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WATCH)))
    }
}

/// The policy of a deletion, by its name or by the older flag; both together say nothing.
pub(crate) fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<String>, ApiError> {
    match (policy, orphan) {
        (Some(_), Some(_)) => {
            let message = "Invalid value: orphanDependents and deletionPropagation cannot be both set".to_owned();
            let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "propagationPolicy".into() };
            Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", vec![cause]))
        }
        (Some(policy @ ("Background" | "Foreground" | "Orphan")), None) => Ok(Some(policy.into())),
        (Some(other), None) => Err(unsupported("propagationPolicy", other, &["Background", "Foreground", "Orphan"])),
        (None, orphan) => Ok(orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.into())),
    }
}

/// A value outside the ones that the parameter knows.
pub(crate) fn unsupported(field: &str, value: &str, supported: &[&str]) -> ApiError {
    let supported = supported.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
    let message = format!("Unsupported value: {value:?}: supported values: {supported}");
    let cause = Cause { reason: "FieldValueNotSupported".into(), message, field: field.into() };
    ApiError::invalid("meta.k8s.io", "Options", "", vec![cause])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Query;
    use crate::registry::FieldValidation;

    fn query(text: &str) -> Query {
        Query::parse(&format!("/x?{text}").parse().unwrap()).unwrap()
    }

    #[test]
    fn empty_pairs_and_all_spellings_of_yes_are_tolerated() {
        for text in ["&watch=true", "watch=1", "watch=True", "watch", "&&watch=true&", "watch=true&watch=false"] {
            assert!(query(text).flag("watch"), "{text}");
        }
        for text in ["", "&", "watch=false", "watch=False", "watch=0"] {
            assert!(!query(text).flag("watch"), "{text}");
        }
    }

    #[test]
    fn values_are_decoded() {
        let query = query("labelSelector=a%3Db%2Cc+in+(d)&timeoutSeconds=290");
        assert_eq!(query.text("labelSelector"), Some("a=b,c in (d)"));
        assert_eq!(query.timeout().unwrap(), Some(Duration::from_secs(290)));
        assert!(!query.selectors().unwrap().labels.is_empty());
    }

    #[test]
    fn unknown_values_are_refused_by_name() {
        let error = query("dryRun=Some").dry_run().unwrap_err();
        assert_eq!((error.code, error.causes[0].field.as_str()), (422, "dryRun"));
        assert!(query("fieldValidation=Never").field_validation().is_err());
        assert!(query("propagationPolicy=Never").propagation_policy().is_err());
        assert!(query("limit=-1").number("limit").is_err());
        let forever = query("timeoutSeconds=18446744073709551615").timeout().unwrap();
        assert_eq!(forever, Some(Duration::from_hours(24)));
        assert_eq!(query("fieldValidation=Strict").field_validation().unwrap(), FieldValidation::Strict);
        assert_eq!(query("orphanDependents=true").propagation_policy().unwrap().as_deref(), Some("Orphan"));
    }
}
