//! Printer columns: the cells of a Table.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::human::age_of;
use crate::{FieldError, JsonPath};

/// The printer columns of one version.
#[derive(Clone, Debug)]
pub struct Columns(Vec<Column>);

#[derive(Clone, Debug)]
struct Column {
    definition: Value,
    kind: Kind,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Integer,
    Number,
    Boolean,
    Text,
    Date,
}

/// Where a cell comes from. CustomResourceDefinitions know paths only; built-in kinds need a little more.
#[derive(Clone, Debug)]
enum Source {
    Path(JsonPath),
    /// A path that cannot be read here. Kubernetes takes the definition all the same; the cells stay empty.
    Unreadable,
    /// The first of several paths that leads to something.
    Either(Vec<JsonPath>),
    /// Two values as `kind/name`, the kind in lower case.
    Joined(Vec<JsonPath>),
    /// Two values as `Kind/name`.
    JoinedAsWritten(Vec<JsonPath>),
    /// The number of entries of a list or map.
    Count(JsonPath),
}

const FORMATS: [&str; 9] = ["", "int32", "int64", "float", "double", "byte", "date", "date-time", "password"];
const MAX_COLUMNS: usize = 64;

impl Columns {
    /// Reads `additionalPrinterColumns`; null or an empty list gives Name and Age.
    pub fn compile(columns: &Value) -> Result<Self, Vec<FieldError>> {
        let list = columns.as_array().map(Vec::as_slice).unwrap_or_default();
        if !columns.is_array() && !columns.is_null() {
            return Err(vec![FieldError::invalid("", columns, "must be a list")]);
        }
        if list.len() > MAX_COLUMNS {
            return Err(vec![FieldError::invalid(
                "",
                &list.len().into(),
                format!("must have at most {MAX_COLUMNS} items"),
            )]);
        }
        let mut errors = Vec::new();
        let mut compiled = vec![name_column()];
        for (index, column) in list.iter().enumerate() {
            match Column::compile(column) {
                Ok(column) => compiled.push(column),
                Err(error) => errors.push(error.under(&format!("[{index}]"))),
            }
        }
        if list.is_empty() {
            compiled.extend(age_column());
        }
        if errors.is_empty() { Ok(Self(compiled)) } else { Err(errors) }
    }

    /// The `columnDefinitions` of a Table, Name first.
    pub fn definitions(&self) -> Vec<Value> {
        self.0.iter().map(|column| column.definition.clone()).collect()
    }

    /// The cells of one object, in the order of the definitions.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        self.0.iter().map(|column| column.cell(object, now)).collect()
    }
}

/// Name and Age.
impl Default for Columns {
    fn default() -> Self {
        Self(std::iter::once(name_column()).chain(age_column()).collect())
    }
}

fn name_column() -> Column {
    let description = "Name of the object, unique among the objects of its kind in its namespace.";
    Column {
        definition: json!({"name": "Name", "type": "string", "format": "name", "description": description, "priority": 0}),
        kind: Kind::Text,
        source: Source::Either(JsonPath::parse(".metadata.name").into_iter().collect()),
    }
}

fn age_column() -> Option<Column> {
    let description = "When the object was made.";
    let column =
        json!({"name": "Age", "type": "date", "description": description, "jsonPath": ".metadata.creationTimestamp"});
    Column::compile(&column).ok()
}

impl Column {
    fn compile(column: &Value) -> Result<Self, FieldError> {
        let text = |name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("name").is_empty() {
            return Err(FieldError::required("name", ""));
        }
        let kind = Kind::parse(text("type"))?;
        let format = text("format");
        if !FORMATS.contains(&format) {
            return Err(FieldError::invalid(
                "format",
                &format.into(),
                "must be one of int32, int64, float, double, byte, date, date-time, password",
            ));
        }
        Ok(Self {
            definition: json!({
                "name": text("name"),
                "type": text("type"),
                "format": format,
                "description": text("description"),
                "priority": column.get("priority").and_then(Value::as_i64).unwrap_or(0),
            }),
            kind,
            source: Source::compile(column)?,
        })
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let found = match &self.source {
            Source::Path(path) => path.first(object),
            Source::Unreadable => None,
            Source::Either(paths) => paths.iter().find_map(|path| path.first(object).filter(|value| !value.is_null())),
            Source::Joined(paths) => return joined(paths, object, str::to_lowercase),
            Source::JoinedAsWritten(paths) => return joined(paths, object, str::to_owned),
            Source::Count(path) => return entries(path.first(object)).into(),
        };
        found.map_or(Value::Null, |value| self.kind.render(value, now))
    }
}

impl Kind {
    fn parse(text: &str) -> Result<Self, FieldError> {
        const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
        Ok(match text {
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "string" => Self::Text,
            "date" => Self::Date,
            "" => return Err(FieldError::required("type", "")),
            other => {
                return Err(FieldError::invalid("type", &other.into(), format!("must be one of {}", TYPES.join(","))));
            }
        })
    }

    /// The cell of a value, nothing if the value has another type.
    fn render(self, value: &Value, now: Timestamp) -> Value {
        match (self, value) {
            (_, Value::Null) => Value::Null,
            (Self::Integer, Value::Number(number)) if number.is_f64() => whole(number.as_f64()),
            (Self::Integer | Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Text, Value::String(_)) => value.clone(),
            (Self::Text, other) => other.to_string().into(),
            (Self::Date, Value::String(text)) => age_of(text, now).into(),
            _ => Value::Null,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cell shows the whole part, as Kubernetes does")]
fn whole(number: Option<f64>) -> Value {
    number.map_or(Value::Null, |number| Value::from(number as i64))
}

impl Source {
    fn compile(column: &Value) -> Result<Self, FieldError> {
        let parse = |text: &Value| {
            let path = text.as_str().unwrap_or_default();
            if path.is_empty() {
                return Err(FieldError::required("jsonPath", ""));
            }
            JsonPath::parse(path).map_err(|error| FieldError::invalid("jsonPath", text, error))
        };
        let several = |value: &Value| value.as_array().into_iter().flatten().map(parse).collect::<Result<Vec<_>, _>>();
        if let Some(paths) = column.get("either") {
            return several(paths).map(Self::Either);
        }
        if let Some(paths) = column.get("joined") {
            return several(paths).map(Self::Joined);
        }
        if let Some(paths) = column.get("joinedAsWritten") {
            return several(paths).map(Self::JoinedAsWritten);
        }
        if let Some(path) = column.get("count") {
            return parse(path).map(Self::Count);
        }
        match column.get("jsonPath").and_then(Value::as_str) {
            None | Some("") => Err(FieldError::required("jsonPath", "")),
            Some(path) => Ok(JsonPath::parse(path).map_or(Self::Unreadable, Self::Path)),
        }
    }
}

fn joined(paths: &[JsonPath], object: &Value, case: impl Fn(&str) -> String) -> Value {
    let parts: Vec<&str> = paths.iter().filter_map(|path| path.first(object)?.as_str()).collect();
    let (kind, name) = (parts.first().copied().unwrap_or_default(), parts.get(1).copied().unwrap_or_default());
    format!("{}/{name}", case(kind)).into()
}

fn entries(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(map)) => map.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Columns;

    fn now() -> jiff::Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn cells_follow_the_types_of_their_columns() {
        let columns = Columns::compile(&json!([
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
            {"name": "Load", "type": "number", "jsonPath": ".status.load"},
            {"name": "Suspended", "type": "boolean", "jsonPath": ".spec.suspend"},
            {"name": "Mounts", "type": "string", "jsonPath": ".spec.mounts"},
            {"name": "Wrong", "type": "integer", "jsonPath": ".spec.class"},
            {"name": "Started", "type": "date", "jsonPath": ".status.started"},
            {"name": "Broken", "type": "date", "jsonPath": ".spec.class"},
            {"name": "Zero", "type": "date", "jsonPath": ".status.zero"},
            {"name": "Missing", "type": "date", "jsonPath": ".status.missing"},
        ]))
        .expect("columns");
        let object = json!({
            "metadata": {"name": "nb"},
            "spec": {"replicas": 3, "suspend": false, "mounts": ["a", "b"], "class": "small"},
            "status": {"load": 0.5, "started": "2026-02-27T09:00:00Z", "zero": "0001-01-01T00:00:00Z",
                       "conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(
            columns.cells(&object, now()),
            vec![
                json!("nb"),
                json!("True"),
                json!(3),
                json!(0.5),
                json!(false),
                json!("[\"a\",\"b\"]"),
                json!(null),
                json!("2d3h"),
                json!("<invalid>"),
                json!("<unknown>"),
                json!(null),
            ]
        );
        assert_eq!(columns.definitions()[2]["priority"], 1);
        assert_eq!(columns.definitions()[0]["format"], "name");
    }

    #[test]
    fn without_columns_there_are_name_and_age() {
        let columns = Columns::compile(&json!(null)).expect("columns");
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-03-01T11:55:00Z"}});
        assert_eq!(columns.cells(&object, now()), vec![json!("a"), json!("5m")]);
        assert_eq!(columns.definitions().len(), 2);
    }

    #[test]
    fn a_path_that_cannot_be_read_shows_nothing() {
        let columns = Columns::compile(&json!([
            {"name": "Deep", "type": "string", "jsonPath": "..x"},
            {"name": "Both", "type": "string", "jsonPath": ".c[?(@.a==1 && @.b==2)].x"},
            {"name": "Last", "type": "string", "jsonPath": ".c[-1:].x"},
        ]))
        .expect("columns");
        let object = json!({"metadata": {"name": "a"}, "c": [{"x": "one"}, {"x": "two"}]});
        assert_eq!(columns.cells(&object, now()), [json!("a"), json!(null), json!(null), json!("two")]);
    }

    #[test]
    fn a_bad_column_is_named() {
        let errors =
            Columns::compile(&json!([{"name": "A", "type": "colour", "jsonPath": ".a"}])).expect_err("refused");
        assert_eq!(errors[0].path, "[0].type");
    }
}
