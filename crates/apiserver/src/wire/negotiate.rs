//! What the client wants to read: a format (JSON or YAML) and a form (the object, a Table, only its metadata).
//!
//! `Accept` lists alternatives; the best one that can be served wins, and 406 answers a list without any.

use http::{HeaderMap, header};

use crate::ApiError;

/// The text of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
}

/// What stands in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object as it is.
    #[default]
    Plain,
    /// A `Table` of this version of `meta.k8s.io`.
    Table(&'static str),
    /// `PartialObjectMetadata` or its list, of this version.
    Metadata(&'static str),
    /// Aggregated discovery of this version of `apidiscovery.k8s.io`.
    Discovery(&'static str),
}

/// The outcome of the negotiation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    pub(crate) form: Form,
}

/// What is being asked for, since not every form exists everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Objects and lists of them.
    Objects,
    /// Events of a watch: JSON only.
    Watch,
    /// `/api` and `/apis`
    Discovery,
    /// Documents that have one form.
    Document,
}

/// Chooses among the alternatives of `Accept`.
pub(crate) fn negotiate(headers: &HeaderMap, offer: Offer) -> Result<Wanted, ApiError> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    if accept.trim().is_empty() {
        return Ok(Wanted::default());
    }
    let mut best: Option<(u16, Wanted)> = None;
    for alternative in accept.split(',') {
        let (quality, wanted) = read(alternative, offer);
        let Some(wanted) = wanted.filter(|_| quality > 0) else { continue };
        if best.as_ref().is_none_or(|(found, _)| quality > *found) {
            best = Some((quality, wanted));
        }
    }
    best.map(|(_, wanted)| wanted).ok_or_else(not_acceptable)
}

fn not_acceptable() -> ApiError {
    let message = "only the following media types are accepted: application/json, application/yaml";
    ApiError::new(406, "NotAcceptable", message)
}

/// One alternative: its quality in thousandths, and what it means here if it can be served.
fn read(alternative: &str, offer: Offer) -> (u16, Option<Wanted>) {
    let mut parts = alternative.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let mut quality = 1000;
    let (mut kind, mut group, mut version) = ("", "", "");
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "q" => quality = thousandths(value),
            "as" => kind = value,
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    let format = match media_type.as_str() {
        "application/json" | "application/*" | "*/*" => Format::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" if offer != Offer::Watch => Format::Yaml,
        _ => return (quality, None),
    };
    let form = form(kind, group, version, offer);
    (quality, form.map(|form| Wanted { format, form }))
}

fn form(kind: &str, group: &str, version: &str, offer: Offer) -> Option<Form> {
    let objects = matches!(offer, Offer::Objects | Offer::Watch);
    let meta = match version {
        "v1" => "v1",
        "v1beta1" => "v1beta1",
        _ => "",
    };
    match (kind, group) {
        ("", _) => Some(Form::Plain),
        ("Table", "meta.k8s.io") if objects && !meta.is_empty() => Some(Form::Table(meta)),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io") if objects && !meta.is_empty() => {
            Some(Form::Metadata(meta))
        }
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io") if offer == Offer::Discovery => match version {
            "v2" => Some(Form::Discovery("v2")),
            "v2beta1" => Some(Form::Discovery("v2beta1")),
            _ => None,
        },
        _ => None,
    }
}

fn thousandths(value: &str) -> u16 {
    let quality = value.trim().parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0);
    // The clamp keeps it between 0 and 1000.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let rounded = (quality * 1000.0).round() as u16;
    rounded
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{Form, Format, Offer, Wanted, negotiate};

    fn wanted(accept: &'static str, offer: Offer) -> Option<Wanted> {
        negotiate(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]), offer).ok()
    }

    #[test]
    fn the_first_form_that_can_be_served_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(wanted(kubectl, Offer::Objects).unwrap().form, Form::Table("v1"));
        assert_eq!(wanted(kubectl, Offer::Document).unwrap().form, Form::Plain);
        let typed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(wanted(typed, Offer::Objects), Some(Wanted::default()));
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(wanted(metadata, Offer::Objects).unwrap().form, Form::Metadata("v1"));
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(wanted(discovery, Offer::Discovery).unwrap().form, Form::Discovery("v2"));
    }

    #[test]
    fn quality_and_wildcards_count() {
        assert_eq!(
            wanted("application/json;q=0.5, application/yaml;q=0.9", Offer::Objects).unwrap().format,
            Format::Yaml
        );
        assert_eq!(wanted("*/*", Offer::Watch), Some(Wanted::default()));
        assert_eq!(wanted("application/json;stream=watch", Offer::Watch), Some(Wanted::default()));
        assert_eq!(wanted("", Offer::Objects), Some(Wanted::default()));
    }

    #[test]
    fn what_cannot_be_served_is_not_acceptable() {
        assert_eq!(wanted("text/html", Offer::Objects), None);
        assert_eq!(wanted("application/vnd.kubernetes.protobuf", Offer::Objects), None);
        assert_eq!(wanted("application/json;q=0", Offer::Objects), None);
        assert_eq!(wanted("application/json;as=Table;v=v7;g=meta.k8s.io", Offer::Objects), None);
    }
}
