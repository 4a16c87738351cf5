//! RFC 6902 and RFC 7396, with Kubernetes' answers and a bound on what a patch may blow up.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use super::limits::{OBJECT_BYTES, check_depth_below};
use crate::ApiError;

/// The most operations of one patch.
const OPERATIONS: usize = 10_000;

/// Carries out a JSON patch; an operation that does not apply refuses all of it with 422.
pub(super) fn apply(patch: &Patch, object: &Value) -> Result<Value, ApiError> {
    if patch.0.len() > OPERATIONS {
        let message = format!("The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}", patch.0.len());
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    let mut object = object.clone();
    let mut copied = 0;
    for operation in &patch.0 {
        check_growth(operation, &object, &mut copied)?;
        json_patch::patch(&mut object, std::slice::from_ref(operation)).map_err(|error| {
            let mut answer =
                ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request");
            answer.source = Some(Box::new(error));
            answer
        })?;
    }
    Ok(object)
}

/// Copies of copies grow without end, in size and in depth, so each is weighed and measured before it is made: even
/// dropping a value that is nested too deeply overflows the stack.
fn check_growth(operation: &PatchOperation, object: &Value, copied: &mut usize) -> Result<(), ApiError> {
    let (path, value) = match operation {
        PatchOperation::Add(add) => return check_depth_below(add.path.count(), &add.value),
        PatchOperation::Replace(replace) => return check_depth_below(replace.path.count(), &replace.value),
        PatchOperation::Copy(copy) => (&copy.path, object.pointer(copy.from.as_str())),
        // What moves up or sideways nests no deeper than it did.
        PatchOperation::Move(one) if one.path.count() > one.from.count() => {
            (&one.path, object.pointer(one.from.as_str()))
        }
        PatchOperation::Move(_) | PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(()),
    };
    let Some(value) = value else { return Ok(()) };
    check_depth_below(path.count(), value)?;
    *copied += value.to_string().len();
    if *copied > OBJECT_BYTES {
        let message = "the copies of the JSON patch are larger than an object may be";
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    Ok(())
}

/// Carries out a merge patch.
pub(super) fn merge(patch: &Value, object: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, patch);
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{apply, merge};

    fn patch(operations: serde_json::Value) -> json_patch::Patch {
        serde_json::from_value(operations).unwrap()
    }

    #[test]
    fn a_failed_test_is_422_and_changes_nothing() {
        let object = json!({"metadata": {"resourceVersion": "7"}});
        let good = patch(
            json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}, {"op": "add", "path": "/a", "value": 1}]),
        );
        assert_eq!(apply(&good, &object).unwrap()["a"], 1);
        for bad in [
            json!([{"op": "test", "path": "/metadata/resourceVersion", "value": "8"}]),
            json!([{"op": "remove", "path": "/nothing"}]),
            json!([{"op": "replace", "path": "/metadata/x/y", "value": 1}]),
        ] {
            assert_eq!(apply(&patch(bad), &object).unwrap_err().code, 422);
        }
    }

    #[test]
    fn copies_of_copies_are_stopped() {
        let copies: Vec<_> = (0..200).map(|at| json!({"op": "copy", "from": "", "path": format!("/x{at}")})).collect();
        let error = apply(&patch(json!(copies)), &json!({"a": "b"})).unwrap_err();
        assert_eq!(error.code, 413);
    }

    #[test]
    fn no_operation_nests_values_too_deeply() {
        let deeper = |at: usize| "/a".repeat(at);
        let mut copies = vec![json!({"op": "add", "path": "/z", "value": {"a": 1}})];
        copies.extend((0..16).map(|at| json!({"op": "copy", "from": "/z", "path": format!("/z{}", deeper(1 << at))})));
        let moves: Vec<_> = (1..200)
            .flat_map(|_| {
                [
                    json!({"op": "add", "path": "/n", "value": {}}),
                    json!({"op": "move", "from": "/z", "path": "/n/z"}),
                    json!({"op": "move", "from": "/n", "path": "/z"}),
                ]
            })
            .collect();
        for deep in [copies, moves, vec![json!({"op": "add", "path": deeper(200), "value": 1})]] {
            assert_eq!(apply(&patch(json!(deep)), &json!({"z": {}})).unwrap_err().code, 400);
        }
    }

    #[test]
    fn a_merge_patch_removes_nulls() {
        assert_eq!(
            merge(&json!({"a": null, "b": {"c": 1}}), &json!({"a": 1, "b": {"d": 2}})),
            json!({"b": {"c": 1, "d": 2}})
        );
    }
}
