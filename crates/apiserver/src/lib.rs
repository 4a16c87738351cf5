//! The Kubernetes wire protocol over the store
