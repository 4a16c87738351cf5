//! The site key: read, or made once and for all.

use std::collections::BTreeMap;

use essaim_api::names;
use essaim_plan::key::SiteKey;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::error::Error;

const FIELD: &str = "key";

/// The key of the site. With `make`, it is made where there is none; whoever comes second takes what the first made.
pub(crate) async fn obtain(client: &Client, make: bool) -> Result<SiteKey, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), names::SYSTEM_NAMESPACE);
    if let Some(key) = read(&api).await? {
        return Ok(key);
    }
    if make {
        match api.create(&PostParams::default(), &fresh()?).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(Error::SiteKey(error)),
        }
    }
    read(&api).await?.ok_or(Error::SiteKeyMissing)
}

async fn read(api: &Api<Secret>) -> Result<Option<SiteKey>, Error> {
    let Some(secret) = api.get_opt(names::SITE_KEY_SECRET).await.map_err(Error::SiteKey)? else { return Ok(None) };
    let bytes = secret.data.and_then(|mut data| data.remove(FIELD)).map(|bytes| bytes.0).unwrap_or_default();
    SiteKey::try_new(bytes).map(Some).ok_or(Error::SiteKeyTooShort)
}

fn fresh() -> Result<Secret, Error> {
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(Error::Random)?;
    Ok(Secret {
        metadata: ObjectMeta { name: Some(names::SITE_KEY_SECRET.into()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(key))])),
        ..Secret::default()
    })
}
