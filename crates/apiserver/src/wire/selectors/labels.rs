//! `labelSelector`: equality, sets and existence.

use serde_json::Value;

use super::grammar;
use crate::ApiError;

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) key: String,
    pub(super) demand: Demand,
}

impl Requirement {
    /// As Kubernetes does it, `notin` and `!=` also choose objects that lack the label.
    fn matches(&self, value: Option<&str>) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        match &self.demand {
            Demand::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Demand::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Demand::Exists => value.is_some(),
            Demand::DoesNotExist => value.is_none(),
            Demand::GreaterThan(bound) => value.and_then(number).is_some_and(|value| value > *bound),
            Demand::LessThan(bound) => value.and_then(number).is_some_and(|value| value < *bound),
        }
    }
}

/// A parsed `labelSelector`; the empty one chooses everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h,!i`.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let requirements = grammar::requirements(text);
        let requirements =
            requirements.map_err(|detail| ApiError::bad_request(format!("unable to parse requirement: {detail}")))?;
        Ok(Self { requirements })
    }

    /// Reads a selector that is an object, `{matchLabels, matchExpressions}`; nothing if it cannot be understood.
    pub(crate) fn from_object(selector: &Value) -> Option<Self> {
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(Requirement { key: key.clone(), demand: Demand::In(vec![value.as_str()?.to_owned()]) });
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            let demand = match expression.get("operator")?.as_str()? {
                "In" => Demand::In(values),
                "NotIn" => Demand::NotIn(values),
                "Exists" => Demand::Exists,
                "DoesNotExist" => Demand::DoesNotExist,
                _ => return None,
            };
            requirements.push(Requirement { key: expression.get("key")?.as_str()?.to_owned(), demand });
        }
        Some(Self { requirements })
    }

    /// Whether it chooses everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the object's `metadata.labels` meet every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.requirements
            .iter()
            .all(|one| one.matches(labels.and_then(|labels| labels.get(&one.key)).and_then(Value::as_str)))
    }
}
