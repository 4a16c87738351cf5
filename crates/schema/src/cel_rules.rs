//! The validation rules of a schema (`x-kubernetes-validations`).
