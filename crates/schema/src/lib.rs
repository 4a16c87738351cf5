//! Structural schemas: validate, prune, default, CEL, printer columns, OpenAPI
