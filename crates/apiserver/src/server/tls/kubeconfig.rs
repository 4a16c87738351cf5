//! `admin.kubeconfig`: what kubectl needs to act as the administrator.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{TlsError, authority::Pair, files};

/// Writes it, unless it says the same already. JSON is YAML, and kubectl reads both.
pub(super) fn write(path: &Path, url: &str, authority: &str, admin: &Pair) -> Result<(), TlsError> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "essaim",
        "clusters": [{"name": "essaim", "cluster": {"server": url, "certificate-authority-data": STANDARD.encode(authority)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": STANDARD.encode(&admin.certificate),
            "client-key-data": STANDARD.encode(&admin.key),
        }}],
        "contexts": [{"name": "essaim", "context": {"cluster": "essaim", "user": "admin", "namespace": "default"}}],
    });
    let text = format!("{config:#}\n");
    if files::read_if_there(path)?.is_some_and(|there| there == text) {
        return Ok(());
    }
    files::write_private(path, &text)
}
