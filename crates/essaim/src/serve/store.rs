//! The store of the role `api`: a file of this process's own, or an etcd that several share.

use std::{fs, path::Path, sync::Arc};

use essaim_apiserver::SECRETS_PREFIX;
use essaim_store::{Embedded, Engine, Etcd, EtcdOptions, EtcdTls, Options, Sealed, Store};

use super::sealing;
use crate::{
    configuration::{Configuration, EtcdFiles, StoreAt},
    error::Error,
};

/// The file, in the data directory.
pub(crate) const FILE: &str = "store.redb";

/// An open store.
pub(super) enum Opened {
    File(Arc<Embedded>),
    Etcd(Arc<Etcd>),
}

impl Opened {
    /// Opens what the configuration names.
    pub(super) async fn open(configuration: &Configuration) -> Result<Self, Error> {
        match &configuration.store {
            StoreAt::File => {
                let path = configuration.data_dir.join(FILE);
                let opened = Embedded::open(&path, Options::default());
                opened.map(Self::File).map_err(|source| Error::Store { place: path.display().to_string(), source })
            }
            StoreAt::Etcd { endpoints, files } => {
                let opened = Etcd::open(etcd_options(endpoints, files.as_ref())?).await;
                opened.map(Self::Etcd).map_err(|source| Error::Store { place: endpoints.join(", "), source })
            }
        }
    }

    /// The store as the API server gets it: with its Secrets sealed. Several processes on one etcd need the same keys.
    pub(super) async fn sealed(&self, data_dir: &Path) -> Result<Arc<dyn Store>, Error> {
        let (first, older) = sealing::keys(data_dir)?;
        let sealed = Sealed::open(self.engine(), first, older, vec![SECRETS_PREFIX.to_owned()]).await;
        let sealed = sealed.map_err(|source| Error::Store { place: "the sealed store".into(), source })?;
        Ok(Arc::new(sealed))
    }

    /// The store below the seal, for backups.
    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        match self {
            Self::File(store) => store.clone(),
            Self::Etcd(store) => store.clone(),
        }
    }

    /// Ends watches, and lets go of the store once its last batch is on disk.
    pub(super) fn close(&self) {
        match self {
            Self::File(store) => store.close(),
            Self::Etcd(store) => store.close(),
        }
    }
}

/// How an etcd is reached.
pub(crate) fn etcd_options(endpoints: &[String], files: Option<&EtcdFiles>) -> Result<EtcdOptions, Error> {
    let mut options = EtcdOptions::new(endpoints);
    options.tls = files.map(tls).transpose()?;
    Ok(options)
}

fn tls(files: &EtcdFiles) -> Result<EtcdTls, Error> {
    let read = |path: &Path| fs::read(path).map_err(|source| Error::Read { path: path.into(), source });
    let identity = match (&files.cert_file, &files.key_file) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        (None, None) => None,
        _ => return Err(Error::Configuration("etcd: certFile and keyFile belong together".into())),
    };
    Ok(EtcdTls { authorities: read(&files.ca_file)?, identity, name: None })
}
