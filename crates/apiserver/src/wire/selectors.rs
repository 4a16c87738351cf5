//! `labelSelector` and `fieldSelector`: the two little languages that choose objects.
//!
//! Labels know sets (`in`, `notin`, existence); fields only equality. Which fields a resource can be selected by is the
//! registry's business: it walks [`FieldSelector::terms`] and refuses what it does not know.

mod fields;
mod grammar;
mod labels;

pub(crate) use fields::FieldSelector;
pub(crate) use labels::LabelSelector;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FieldSelector, LabelSelector};

    fn chooses(selector: &str) -> bool {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5", "empty": ""}}});
        LabelSelector::parse(selector).unwrap().matches(&object)
    }

    #[test]
    fn label_selectors_choose_as_kubernetes_does() {
        for selector in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "gone!=x",
            "app in (db, web)",
            "tier notin (back)",
            "gone notin (x)",
            "app",
            "!gone",
            "app=web,tier in (front),!gone",
            "n>4",
            "n<6",
            "empty=",
            "empty in ()",
            " app = web ",
        ] {
            assert!(chooses(selector), "{selector}");
        }
        for selector in [
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web)",
            "!app",
            "gone",
            "n>5",
            "gone=",
            "app=web,tier=back",
        ] {
            assert!(!chooses(selector), "{selector}");
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused() {
        for selector in
            ["=", "a=b=c", "a in", "a in (b", "a b", ",", "a,", "a=b c", "!a=b", "-x=y", "a=-b", "a in b", "a/b/c"]
        {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn field_selectors_compare_for_equality() {
        let value = |field: &str| if field == "metadata.name" { "a,b".to_owned() } else { String::new() };
        let chooses = |selector: &str| FieldSelector::parse(selector).unwrap().matches(value);
        assert!(chooses(r"metadata.name=a\,b"));
        assert!(chooses(r"metadata.name==a\,b,spec.x!=1"));
        assert!(chooses("spec.x="));
        assert!(!chooses("metadata.name=a"));
        assert!(FieldSelector::parse("metadata.name").is_err());
        assert!(FieldSelector::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_required_name_is_found() {
        let selector = FieldSelector::parse("metadata.namespace!=x,metadata.name=y").unwrap();
        assert_eq!(selector.required("metadata.name"), Some("y"));
        assert_eq!(selector.required("metadata.namespace"), None);
    }
}
