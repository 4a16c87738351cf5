//! Conditions in the same language that belong to no schema: they decide about a request, by variables that the caller names.

use std::sync::Arc;

use cel::parser::Expression;
use serde_json::Value;

use super::budget::Budget;
use super::{boolean, compile, resolve, scope, stack, values};

/// One condition.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    /// How deep the evaluator goes for it.
    depth: usize,
    expression: Arc<Expression>,
}

impl Condition {
    /// Reads a condition over these variables; the error says what is wrong with it.
    pub fn compile(text: &str, variables: &[&'static str]) -> Result<Self, String> {
        let check = |expression: &Expression| scope::check_untyped(variables, expression);
        let parsed = stack::on_own_stack(|| compile::parse_with(text, check));
        let (expression, findings) = parsed.map_err(str::to_owned)??;
        Ok(Self { text: text.to_owned(), depth: findings.depth, expression: Arc::new(expression) })
    }
}

/// Whether every condition holds: false as soon as one does not, whatever became of those before it. An error tells which one could
/// not be evaluated, if none is false. They share one budget.
pub fn all_hold(conditions: &[Condition], variables: &[(&'static str, &Value)]) -> Result<bool, String> {
    let evaluate = || {
        let budget = Arc::new(Budget::default());
        let mut failure = None;
        for condition in conditions {
            match condition.holds(variables, &budget) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    failure.get_or_insert_with(|| format!("{error} evaluating condition: {}", condition.text));
                }
            }
        }
        failure.map_or(Ok(true), Err)
    };
    if conditions.iter().all(|one| one.depth <= stack::ORDINARY_DEPTH) {
        return evaluate();
    }
    stack::on_own_stack(evaluate).map_err(str::to_owned)?
}

impl Condition {
    fn holds<'v>(&self, variables: &[(&'static str, &'v Value)], budget: &Arc<Budget>) -> Result<bool, String> {
        let mut given = variables.iter().map(|(_, value)| *value);
        if !budget.start(given.next().unwrap_or(&Value::Null), given.next()) {
            return Err("the conditions exceed the cost limit".to_owned());
        }
        let install = |context: &mut cel::Context<'_, 'v>| {
            for (name, value) in variables {
                context.add_variable_as_val(*name, values::untyped(value));
            }
        };
        resolve(budget, &self.expression, install, boolean)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Condition, all_hold};

    const VARIABLES: [&str; 2] = ["object", "request"];

    fn judge(conditions: &[&str]) -> Result<bool, String> {
        let compiled: Vec<_> =
            conditions.iter().map(|text| Condition::compile(text, &VARIABLES).expect("a condition")).collect();
        let (object, request) = (
            json!({"metadata": {"name": "a", "labels": {"x/y": "z"}}, "spec": {"size": 3, "my-tags": ["a"]}}),
            json!({"userInfo": {"username": "alice", "groups": ["staff"]}, "operation": "CREATE"}),
        );
        all_hold(&compiled, &[("object", &object), ("request", &request)])
    }

    #[test]
    fn conditions_see_the_whole_of_their_variables() {
        let all = [
            "object.spec.size > 2 && object.metadata.labels['x/y'] == 'z'",
            "!('system:masters' in request.userInfo.groups)",
            "object.spec['my-tags'].all(tag, tag.startsWith('a')) && request.operation == 'CREATE'",
            "!has(object.spec.other)",
        ];
        assert_eq!(judge(&all), Ok(true));
        assert_eq!(judge(&["request.userInfo.username == 'bob'"]), Ok(false));
        assert_eq!(judge(&[]), Ok(true));
        let null = [Condition::compile("object == null", &["object"]).expect("a condition")];
        assert_eq!(all_hold(&null, &[("object", &Value::Null)]), Ok(true));
    }

    #[test]
    fn one_that_is_false_outweighs_one_that_cannot_be_evaluated() {
        assert_eq!(judge(&["object.nothing.here", "1 > 2"]), Ok(false));
        let error = judge(&["object.nothing.here == 1", "2 > 1"]).unwrap_err();
        assert!(error.contains("no such key") && error.contains("object.nothing.here"), "{error}");
        assert!(judge(&["object.spec.size"]).unwrap_err().contains("no boolean"));
    }

    #[test]
    fn what_is_not_declared_or_too_costly_is_refused() {
        let refused = |text: &str| Condition::compile(text, &VARIABLES).unwrap_err();
        assert!(refused("authorizer.path('/').check('get').allowed()").contains("'authorizer'"));
        assert!(refused("self.size > 1").contains("'self'"));
        assert!(refused("oldSelf == null").contains("'oldSelf'"));
        assert!(!refused("1 +").is_empty() && refused("nothing(1)").contains("'nothing'"));
        let list = format!("[{}]", (0..400).map(|at| at.to_string()).collect::<Vec<_>>().join(","));
        let loops = format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c >= 0)))");
        assert!(refused(&loops).contains("longer"), "the text is bounded");
        let short = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]";
        let short = [short; 5].concat().replace("][", ",");
        let loops = format!("{short}.all(a, {short}.all(b, {short}.all(c, {short}.all(d, a + b + c + d >= 0))))");
        let error = judge(&[&loops]).unwrap_err();
        assert!(error.contains("cost limit"), "{error}");
    }

    #[test]
    fn a_deep_condition_gets_a_stack_of_its_own() {
        let sum = format!("{}1 > 0", "1 + ".repeat(80));
        assert_eq!(judge(&[&sum]), Ok(true));
    }
}
