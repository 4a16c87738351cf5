//! Conditions after the Kubernetes API conventions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition of a type, if it was reported.
pub fn find_condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// The conditions to report, where a transition time moves only with its condition's status.
///
/// Takes what was reported before and what was observed now; equal facts give an equal report.
pub fn merge_conditions(before: &[Condition], now: Vec<Condition>) -> Vec<Condition> {
    let keep_time = |mut condition: Condition| {
        if let Some(old) = find_condition(before, &condition.type_).filter(|old| old.status == condition.status) {
            condition.last_transition_time = old.last_transition_time.clone();
        }
        condition
    };
    now.into_iter().map(keep_time).collect()
}
