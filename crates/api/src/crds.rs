//! The CustomResourceDefinitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{NotebookClass, NotebookServer};

/// Every kind of the platform, in the order of their names.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![NotebookClass::crd(), NotebookServer::crd()]
}
