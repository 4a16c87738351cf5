//! `essaim token`: issue, list and revoke tokens.
//!
//! A token is drawn here and printed once; the API gets its SHA-256 only, in a Secret. Whoever may make that Secret and
//! impersonate the user can issue, whoever may delete it can revoke. Doing either twice harms nothing: a second `create` is
//! another token, a second `revoke` says that there is none.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use essaim_api::names::{SYSTEM_NAMESPACE, TOKEN_SECRET_PREFIX, TOKEN_SECRET_TYPE};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Exit, Format,
    output::{self, relative},
};

/// What `essaim token` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Issue a token and print it. It is shown this once, and kept nowhere.
    Create {
        /// Whose token it is.
        #[arg(long)]
        user: String,
        /// A group of its bearer; may be given several times.
        #[arg(long)]
        group: Vec<String>,
        /// How long it lasts, such as 90m, 24h or 30d.
        #[arg(long, default_value = "24h", value_parser = lifetime)]
        ttl: SignedDuration,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Show which tokens there are: never the tokens themselves.
    List {
        /// The form of the answer.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Revoke a token; the next request with it is refused.
    Revoke {
        /// Its id: what stands before the dot, and in the list.
        id: String,
    },
}

/// One line of the list.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    id: String,
    user: String,
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    description: String,
}

/// Carries it out.
pub(crate) async fn run(client: &Client, arguments: &Arguments, now: Timestamp) -> Result<Exit, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    match &arguments.action {
        Action::Create { user, group, ttl, description } => {
            let expires = now.checked_add(*ttl).ok().filter(|_| ttl.is_positive());
            let expires = expires.ok_or_else(|| Error::Lifetime(ttl.to_string()))?;
            let (id, token) = draw()?;
            let secret = secret(&id, &token, user, group, expires, description)?;
            let made = api.create(&PostParams::default(), &secret).await;
            made.map_err(|source| Error::Api { operation: "issue the token", source })?;
            println!("{token}");
        }
        Action::List { output } => list(&api, *output, now).await?,
        Action::Revoke { id } => revoke(&api, id).await?,
    }
    Ok(Exit::AsWanted)
}

async fn list(api: &Api<Secret>, format: Format, now: Timestamp) -> Result<(), Error> {
    let only = ListParams::default().fields(&format!("type={TOKEN_SECRET_TYPE}"));
    let secrets = api.list(&only).await.map_err(|source| Error::Api { operation: "list the tokens", source })?;
    let rows: Vec<Row> = secrets.iter().map(row).collect();
    let cells = |row: &Row| {
        let expires = match row.expires {
            None => "-".to_owned(),
            Some(expires) if expires <= now => format!("expired {}", relative(expires, now)),
            Some(expires) => relative(expires, now),
        };
        vec![row.id.clone(), row.user.clone(), row.groups.join(","), expires, row.description.clone()]
    };
    output::print(format, &["ID", "USER", "GROUPS", "EXPIRES", "DESCRIPTION"], rows.iter().map(cells).collect(), &rows)
}

async fn revoke(api: &Api<Secret>, id: &str) -> Result<(), Error> {
    // Whoever pastes the whole token means its id; the rest must not go on to the API, whose log has paths in it.
    let id = id.split('.').next().unwrap_or_default();
    match api.delete(&format!("{TOKEN_SECRET_PREFIX}{id}"), &DeleteParams::default()).await {
        Ok(_) => {
            println!("token {id} revoked");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::NoSuchToken(id.to_owned())),
        Err(source) => Err(Error::Api { operation: "revoke the token", source }),
    }
}

/// `90m`, `24h`, `30d`: days have 24 hours.
fn lifetime(text: &str) -> Result<SignedDuration, jiff::Error> {
    text.parse::<jiff::Span>()?.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
}

/// A new token and its id: 64 random bits to name it, 256 to prove it.
fn draw() -> Result<(String, String), Error> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret)).map_err(Error::Random)?;
    let id = hex::encode(id);
    let token = format!("{id}.{}", URL_SAFE_NO_PAD.encode(secret));
    Ok((id, token))
}

fn secret(
    id: &str,
    token: &str,
    user: &str,
    groups: &[String],
    expires: Timestamp,
    description: &str,
) -> Result<Secret, Error> {
    let groups = serde_json::to_string(groups).map_err(|_| Error::Output("JSON"))?;
    // Whole seconds are enough, and easier to read.
    let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
    let texts = [
        ("sha256", hex::encode(Sha256::digest(token))),
        ("user", user.to_owned()),
        ("groups", groups),
        ("expires", expires.to_string()),
        ("description", description.to_owned()),
    ];
    Ok(Secret {
        metadata: ObjectMeta { name: Some(format!("{TOKEN_SECRET_PREFIX}{id}")), ..ObjectMeta::default() },
        type_: Some(TOKEN_SECRET_TYPE.into()),
        string_data: Some(BTreeMap::from(texts.map(|(key, text)| (key.to_owned(), text)))),
        ..Secret::default()
    })
}

fn row(secret: &Secret) -> Row {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
    };
    let name = secret.name_any();
    Row {
        id: name.strip_prefix(TOKEN_SECRET_PREFIX).unwrap_or(&name).to_owned(),
        user: text("user"),
        groups: serde_json::from_str(&text("groups")).unwrap_or_default(),
        expires: text("expires").parse().ok(),
        description: text("description"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn lifetimes_are_read_as_people_write_them() {
        for (text, hours) in [("90m", 1), ("24h", 24), ("30d", 720), ("1d12h", 36)] {
            assert_eq!(lifetime(text).unwrap().as_hours(), hours, "{text}");
        }
        assert!(lifetime("soon").is_err() && lifetime("7").is_err());
    }

    #[test]
    fn a_token_has_256_random_bits_and_its_secret_only_a_digest() {
        let ((id, token), (other_id, other)) = (draw().unwrap(), draw().unwrap());
        assert!(id != other_id && token != other);
        let (before, random) = token.split_once('.').unwrap();
        assert_eq!((before, URL_SAFE_NO_PAD.decode(random).unwrap().len()), (id.as_str(), 32));
        let expires = Timestamp::from_second(1_900_000_000).unwrap();
        let made = secret(&id, &token, "alice", &["staff".into()], expires, "for a script").unwrap();
        let text = serde_json::to_string(&made).unwrap();
        assert!(!text.contains(random), "{text}");

        // What the server makes of `stringData`.
        let data = made.string_data.clone().unwrap();
        let data = data.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))).collect();
        let wanted = Row {
            id,
            user: "alice".into(),
            groups: vec!["staff".into()],
            expires: Some(expires),
            description: "for a script".into(),
        };
        assert_eq!(row(&Secret { data: Some(data), ..made }), wanted);
    }
}
