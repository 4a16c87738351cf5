//! The paths of a document: which verbs a resource has, and which parameters each takes.

use serde_json::{Map, Value, json};

use super::{Api, ResourceDoc, meta, reference, schemas};

/// Media types of objects, as they are named in documents.
const OBJECT_TYPES: &[&str] = &["application/json", "application/yaml"];
const PATCH_TYPES: &[&str] =
    &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The document's own first path: what is served.
pub(super) fn discovery(api: &Api<'_>) -> Value {
    json!({"get": {
        "description": "what is served",
        "operationId": format!("get{}APIResources", camel(api)),
        "responses": {"200": {"description": "OK"}, "401": {"description": "Unauthorized"}},
    }})
}

/// Adds the paths of one resource.
pub(super) fn add(api: &Api<'_>, resource: &ResourceDoc<'_>, paths: &mut Map<String, Value>) {
    let (parent, subresource) = resource.plural.split_once('/').unwrap_or((resource.plural, ""));
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{}{scope}/{parent}", api.root());
    let target = Target {
        api,
        resource,
        subresource: "",
        body: api.schema_name(resource.kind),
        kind: api.group_version_kind(resource.kind),
    };
    if !subresource.is_empty() {
        let target = Target { subresource, ..target };
        paths.insert(format!("{collection}/{{name}}/{subresource}"), target.path(&["create"], true));
        return;
    }
    paths.insert(collection.clone(), target.path(&["list", "create", "deletecollection"], false));
    if resource.namespaced && resource.verbs.contains(&"list") {
        let everywhere = Target { subresource: "", ..target.clone() };
        paths.insert(format!("{}/{parent}", api.root()), everywhere.everywhere());
    }
    let item = format!("{collection}/{{name}}");
    if resource.verbs.contains(&"get") {
        paths.insert(item.clone(), target.path(&["get", "update", "patch", "delete"], true));
    }
    if resource.status {
        let status = Target { subresource: "status", ..target.clone() };
        paths.insert(format!("{item}/status"), status.path(&["get", "update", "patch"], true));
    }
    if resource.scale {
        let kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        let scale = Target { subresource: "scale", body: schemas::scale().to_owned(), kind, ..target };
        paths.insert(format!("{item}/scale"), scale.path(&["get", "update", "patch"], true));
    }
}

/// A resource or one of its subresources.
#[derive(Clone)]
struct Target<'a> {
    api: &'a Api<'a>,
    resource: &'a ResourceDoc<'a>,
    subresource: &'a str,
    /// The name of the schema of bodies.
    body: String,
    kind: Value,
}

impl Target<'_> {
    fn path(&self, verbs: &[&str], named: bool) -> Value {
        let mut path = Map::new();
        for verb in verbs.iter().filter(|verb| self.resource.verbs.contains(*verb)) {
            let (method, action) = method_and_action(verb);
            path.insert(method.to_owned(), self.operation(verb, action, ""));
        }
        let mut parameters = vec![query("pretty", "string", "Whether the answer is indented.")];
        if named {
            parameters.push(in_path("name", "Name of the object."));
        }
        if self.resource.namespaced {
            parameters.push(in_path("namespace", "Namespace of the object."));
        }
        path.insert("parameters".to_owned(), parameters.into());
        Value::Object(path)
    }

    fn everywhere(&self) -> Value {
        let mut operation = self.operation("list", "list", "ForAllNamespaces");
        let parameters = operation.as_object_mut().and_then(|operation| operation.remove("parameters"));
        json!({"get": operation, "parameters": parameters.unwrap_or_default()})
    }

    fn operation(&self, verb: &str, action: &str, ending: &str) -> Value {
        let resource = self.resource;
        let scope = if resource.namespaced && ending.is_empty() { "Namespaced" } else { "" };
        let part = capitalised(self.subresource);
        let mut operation = json!({
            "description": format!("{verb} {}{}", resource.kind, if part.is_empty() { String::new() } else { format!(" {}", self.subresource) }),
            "operationId": format!("{verb}{}{scope}{}{part}{ending}", camel(self.api), resource.kind),
            "tags": [camel(self.api)],
            "parameters": parameters(verb),
            "responses": self.responses(verb),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": self.kind,
        });
        if let (Some(body), Some(operation)) = (self.request_body(verb), operation.as_object_mut()) {
            operation.insert("requestBody".to_owned(), body);
        }
        operation
    }

    fn request_body(&self, verb: &str) -> Option<Value> {
        Some(match verb {
            "create" | "update" => json!({"required": true, "content": content(&["*/*"], &self.body)}),
            "delete" | "deletecollection" => json!({"content": content(&["*/*"], &meta("DeleteOptions"))}),
            "patch" => {
                let mut types = PATCH_TYPES.to_vec();
                types.extend(Some(STRATEGIC).filter(|_| self.resource.strategic_merge));
                json!({"required": true, "content": content(&types, &meta("Patch"))})
            }
            _ => return None,
        })
    }

    fn responses(&self, verb: &str) -> Value {
        let list = self.api.schema_name(&format!("{}List", self.resource.kind));
        let status = meta("Status");
        let body = match verb {
            "list" => &list,
            "delete" | "deletecollection" => &status,
            _ => &self.body,
        };
        let mut responses = Map::new();
        let codes: &[(&str, &str)] = match verb {
            "create" => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            "update" | "patch" => &[("200", "OK"), ("201", "Created")],
            "delete" => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        };
        for (code, description) in codes {
            responses.insert(
                (*code).to_owned(),
                json!({"description": description, "content": content(OBJECT_TYPES, body)}),
            );
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        Value::Object(responses)
    }
}

fn method_and_action(verb: &str) -> (&'static str, &'static str) {
    match verb {
        "create" => ("post", "post"),
        "update" => ("put", "put"),
        "patch" => ("patch", "patch"),
        "delete" => ("delete", "delete"),
        "deletecollection" => ("delete", "deletecollection"),
        "list" => ("get", "list"),
        _ => ("get", "get"),
    }
}

fn parameters(verb: &str) -> Vec<Value> {
    let dry_run = || query("dryRun", "string", "All: check everything, change nothing.");
    let manager = || query("fieldManager", "string", "Who changes the fields, for managedFields.");
    let validation =
        || query("fieldValidation", "string", "What happens to unknown and duplicate fields: Ignore, Warn or Strict.");
    match verb {
        "create" | "update" => vec![dry_run(), manager(), validation()],
        "patch" => vec![
            dry_run(),
            manager(),
            validation(),
            query("force", "boolean", "Whether an apply takes fields over from other managers."),
        ],
        "delete" => {
            let mut parameters = vec![dry_run()];
            parameters.extend(deletion());
            parameters
        }
        "list" => listing(),
        "deletecollection" => {
            let mut parameters = vec![dry_run()];
            parameters.extend(deletion());
            parameters.extend(listing());
            parameters
        }
        _ => Vec::new(),
    }
}

fn deletion() -> [Value; 3] {
    [
        query("gracePeriodSeconds", "integer", "Seconds given to the object to end."),
        query("orphanDependents", "boolean", "Superseded by propagationPolicy."),
        query("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
    ]
}

fn listing() -> Vec<Value> {
    vec![
        query("allowWatchBookmarks", "boolean", "Whether a watch may send events of type BOOKMARK."),
        query("continue", "string", "Where the next part of a list begins, as the part before said."),
        query("fieldSelector", "string", "Which objects, by their fields."),
        query("labelSelector", "string", "Which objects, by their labels."),
        query("limit", "integer", "How many objects a part of a list holds at most."),
        query("resourceVersion", "string", "State of the store to read from."),
        query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact, or NotOlderThan."),
        query("sendInitialEvents", "boolean", "Whether a watch begins with what is there."),
        query("timeoutSeconds", "integer", "When a watch ends."),
        query("watch", "boolean", "Whether to send changes as they happen."),
    ]
}

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
}

fn in_path(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string", "uniqueItems": true}})
}

fn content(types: &[&str], schema: &str) -> Value {
    let each = types.iter().map(|media| ((*media).to_owned(), json!({"schema": reference(schema)})));
    Value::Object(each.collect())
}

/// `EssaimDevV1alpha1`
fn camel(api: &Api<'_>) -> String {
    let group = if api.group.is_empty() { "core" } else { api.group };
    let parts = group.split(['.', '-']).chain(std::iter::once(api.version));
    parts.map(capitalised).collect()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
