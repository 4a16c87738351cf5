//! Lists of all forms and formats, in pieces.

use std::sync::Arc;

use essaim_store::Revision;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{PIECE, Pieces};
use crate::{
    catalogue::{Catalogue, Resource},
    registry::{List, Presented},
    wire::{
        decode,
        negotiate::{Form, Format, Wanted},
        output::Style,
        table::{IncludeObject, Renderer, partial},
    },
};

fn maps() -> Arc<Resource> {
    Catalogue::new().find("", "v1", "configmaps").unwrap()
}

/// With what is hard to indent: texts of several lines, blank ones, such that begin with spaces, and empty lists.
fn map(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("m{number}"), "namespace": "default", "resourceVersion": "7", "finalizers": []},
        "data": {"lines": "  one\n\n   \ntwo\n\n", "plain": "- x: [", "empty": "", "long": "word ".repeat(60), "tab": "\ta\r\nb"},
    })
}

fn list(items: Vec<Presented>) -> List {
    List { items, revision: Revision(9), continue_token: None, remaining: None }
}

fn styles() -> impl Iterator<Item = Style> {
    let forms = [Form::Plain, Form::Table("v1"), Form::Metadata("v1")];
    let shapes = [(Format::Json, false), (Format::Json, true), (Format::Yaml, false)];
    forms.into_iter().flat_map(move |form| {
        shapes.map(|(format, pretty)| Style {
            wanted: Wanted { format, form: form.clone() },
            pretty,
            include_object: IncludeObject::Metadata,
        })
    })
}

/// The whole list as one value.
fn whole(style: &Style, objects: &[Value], now: Timestamp) -> Value {
    let resource = maps();
    let metadata = json!({"resourceVersion": "9"});
    match style.wanted.form {
        Form::Table(version) => {
            let renderer = Renderer::new(&resource, version, style.include_object);
            let rows = objects.iter().map(|object| renderer.row(object, now)).collect::<Vec<_>>();
            json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": Value::from(resource.columns.definitions()), "rows": rows,
            })
        }
        Form::Metadata(version) => {
            let items = objects.iter().map(|object| partial(object, version)).collect::<Vec<_>>();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items})
        }
        _ => json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": objects}),
    }
}

#[test]
fn the_pieces_together_are_the_list() {
    let now = Timestamp::UNIX_EPOCH;
    for style in styles() {
        for count in [0, 1, 3, 900] {
            let objects = (0..count).map(map).collect::<Vec<_>>();
            let items = objects.iter().cloned().map(Presented::from).collect();
            let pieces = Pieces::new(&maps(), list(items), &style, now).unwrap();
            let text = pieces.map(Result::unwrap).fold(Vec::new(), |text, piece| [text, piece.to_vec()].concat());
            let expected = whole(&style, &objects, now);
            if style.wanted.format == Format::Yaml {
                // The parser for bodies takes no more nodes than a body may have; three show all that can differ.
                if count <= 3 {
                    assert_eq!(decode::from_yaml(&text).unwrap(), expected, "{style:?} {count}");
                }
                continue;
            }
            assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected, "{style:?} {count}");
            if style.pretty && style.wanted.form == Form::Plain {
                let first_line_of_an_object = "\n    {\n      \"apiVersion\"";
                assert_eq!(String::from_utf8(text).unwrap().contains(first_line_of_an_object), count > 0);
            }
        }
    }
}

#[test]
fn no_more_than_a_piece_is_there_at_a_time_however_long_the_list() {
    const MANY: usize = 100_000;
    let object: Presented = map(1).into();
    for style in styles() {
        let mut pieces = Pieces::new(&maps(), list(vec![object.clone(); MANY]), &style, Timestamp::UNIX_EPOCH).unwrap();
        let first = pieces.next().unwrap().unwrap();
        let (written, one) = (MANY - pieces.items.len(), first.len() / (MANY - pieces.items.len()));
        assert!(
            written < 2_000 && first.len() < PIECE + 2 * one,
            "{style:?}: {written} objects in {} bytes",
            first.len()
        );
        // A sample is enough for the rest, which takes long in a debug build.
        for piece in pieces.by_ref().take(20) {
            assert!((PIECE..PIECE + 2 * one).contains(&piece.unwrap().len()), "{style:?}");
        }
        assert!(pieces.items.len() > MANY / 2);
    }
}
