//! Small objects to start from: everything that may be left out is.

use essaim_api::{
    Memory, MemoryBounds, NotebookClass, NotebookClassSpec, NotebookImage, NotebookServer, NotebookServerSpec,
    ResourceBounds, UpdateStrategy,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;

/// A class of 64 MiB by default and 128 MiB at most, with one image, and three starts after a failure.
pub fn class(name: &str) -> NotebookClass {
    let mebibytes = |count: i64| Memory::from_bytes(count << 20);
    let image = NotebookImage { name: "base".into(), image: "base:1".into(), description: None, command: Vec::new() };
    let spec = NotebookClassSpec {
        description: None,
        images: vec![image],
        placement: std::collections::BTreeMap::new(),
        resources: ResourceBounds {
            memory: MemoryBounds { default: mebibytes(64), max: Some(mebibytes(128)) },
            ..ResourceBounds::default()
        },
        mounts: Vec::new(),
        env: Vec::new(),
        update_strategy: UpdateStrategy::OnRestart,
        restart_limit: 3,
    };
    NotebookClass::new(name, spec)
}

/// A server that names its class and nothing else.
pub fn server(namespace: &str, name: &str, class: &str) -> NotebookServer {
    let spec = NotebookServerSpec {
        class: class.to_owned(),
        image: None,
        memory: None,
        cpu: None,
        env: Vec::new(),
        suspend: false,
        restarted_at: None,
    };
    let mut server = NotebookServer::new(name, spec);
    server.metadata.namespace = Some(namespace.to_owned());
    server
}

/// A namespace: the place of the user of that name.
pub fn namespace(name: &str) -> Namespace {
    Namespace { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..Namespace::default() }
}
