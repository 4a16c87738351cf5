//! `essaim restore`: makes a store from a backup, in a file that is not there yet or an etcd that holds nothing.
//!
//! ```text
//! verify all of the backup ─► do the sealing keys open its Secrets? ─► write ─► say what is missing beside the store
//! ```
//!
//! Nothing is written before the whole backup was read once. May be run again after whatever went wrong.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use clap::Args;
use essaim_apiserver::{DEFINITIONS_PREFIX, SECRETS_PREFIX};
use essaim_store::{BackupError, Contents, Embedded, Etcd, Reader, SealCheck, check_backup, revision_after};
use jiff::Timestamp;

use crate::{
    configuration::{self, StoreAt},
    error::Error,
    serve::{make_private, sealing, store},
};

/// What belongs beside a store and is in no backup, with what its absence means.
const APART: [(&str, &str); 3] = [
    ("sealing.keys", "a new one will be made, since the backup holds no sealed Secrets"),
    ("tls/ca.key", "a new authority will be made, and everybody needs a new kubeconfig"),
    ("tls/service-account.key", "a new one will be made, and tokens of service accounts end"),
];

/// The flags of `essaim restore`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// What `essaim backup` wrote.
    file: PathBuf,
    /// The directory in which the store is made; with etcd, that of the sealing keys. Made if absent.
    #[arg(long, required_unless_present_any = ["config", "check"])]
    data_dir: Option<PathBuf>,
    /// `file`, in the data directory, or an etcd that holds nothing yet.
    #[arg(long, value_name = "file|etcd=URL[,URL]")]
    store: Option<String>,
    /// The YAML file of `essaim serve`, for data directory, store and certificates.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Only verify the backup, and with a data directory that its sealing keys open the Secrets.
    #[arg(long)]
    check: bool,
}

/// Carries it out.
pub(crate) async fn run(flags: &Flags, now: Timestamp) -> Result<(), Error> {
    if flags.check {
        let keys_in = flags.data_dir.as_deref();
        say(&format!("the backup is whole: {}", describe(&verify(&flags.file, keys_in)?)));
        return Ok(());
    }
    let place = configuration::place(flags.data_dir.clone(), flags.store.as_deref(), flags.config.as_deref());
    let (data_dir, store_at) = place?;
    let contents = verify(&flags.file, Some(&data_dir))?;
    make_private(&data_dir)?;
    write(&flags.file, &contents, &data_dir, &store_at, now).await?;
    say(&format!("restored {}", describe(&contents)));
    for (file, meaning) in APART.into_iter().filter(|(file, _)| !data_dir.join(file).exists()) {
        say(&format!("note: {} is absent: {meaning}", data_dir.join(file).display()));
    }
    Ok(())
}

/// Why a look at a record ended the verification.
enum Refusal {
    Backup(BackupError),
    Sealed(essaim_store::Error),
}

impl From<BackupError> for Refusal {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

/// Reads all of it; with a directory, its keys must open what is sealed.
fn verify(path: &Path, keys_in: Option<&Path>) -> Result<Contents, Error> {
    let keys = keys_in.map(sealing::existing).transpose()?;
    let seal = keys.map(|keys| SealCheck::new(keys, vec![SECRETS_PREFIX.to_owned()]));
    let verified = check_backup(open(path)?, |record| {
        seal.as_ref().map_or(Ok(()), |seal| seal.check(record)).map_err(Refusal::Sealed)
    });
    verified.map_err(|refusal| match refusal {
        Refusal::Backup(source) => Error::Backup { path: path.into(), source },
        Refusal::Sealed(source) => {
            Error::SealingKeys { path: keys_in.unwrap_or_else(|| Path::new("")).join(sealing::FILE), source }
        }
    })
}

async fn write(
    path: &Path,
    contents: &Contents,
    data_dir: &Path,
    store_at: &StoreAt,
    now: Timestamp,
) -> Result<(), Error> {
    let newest = revision_after(contents, u64::try_from(now.as_millisecond()).unwrap_or_default());
    let backup = Reader::new(open(path)?);
    let written = match store_at {
        StoreAt::File => Embedded::restore(data_dir.join(store::FILE), backup, contents, newest),
        StoreAt::Etcd { endpoints, files } => {
            let options = store::etcd_options(endpoints, files.as_ref())?;
            Etcd::restore(options, backup, contents, newest, &[DEFINITIONS_PREFIX.to_owned()]).await
        }
    };
    written.map_err(|source| Error::Restore { path: path.into(), source })
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Read { path: path.into(), source })
}

fn describe(Contents { made, store, revision, objects, bytes, oldest: _ }: &Contents) -> String {
    let made = i64::try_from(*made).ok().and_then(|made| Timestamp::from_millisecond(made).ok());
    let made = made.map_or_else(|| "an unknown time".to_owned(), |made| made.to_string());
    format!("revision {revision} of store {store}, taken at {made}, {objects} objects, {bytes} bytes")
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn say(line: &str) {
    println!("{line}");
}
