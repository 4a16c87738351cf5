//! `essaim backup`: takes a backup from the API and verifies it on its way to the file.
//!
//! The file has its name only when all of it is on disk: whoever finds it finds a whole backup. Doing it again replaces it.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use essaim_api::names::BACKUP_PATH;
use essaim_store::{Checker, Contents};
use futures::{AsyncBufRead, AsyncBufReadExt as _};
use kube::Client;

use crate::{Error, Exit};

/// Progress is shown again after so many bytes.
const STEP: u64 = 4 << 20;

/// What `essaim backup` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where it goes; `-` is standard output, whose reader must look at the exit code. A file that is there is replaced once all is here.
    #[arg(short, long, value_name = "FILE|-")]
    output: PathBuf,
}

/// Where a backup goes.
enum Sink {
    /// A file under another name, and the name that it will have.
    File {
        file: File,
        draft: Draft,
        name: PathBuf,
    },
    Stdout(io::Stdout),
}

/// A file that goes unless it was given its name.
struct Draft(Option<PathBuf>);

/// Takes the backup and says what it is.
pub(crate) async fn run(client: &Client, arguments: &Arguments) -> Result<Exit, Error> {
    let request = http::Request::get(BACKUP_PATH).body(Vec::new());
    let request = request.map_err(|error| Error::Interrupted(io::Error::other(error)))?;
    let body = client.request_stream(request).await;
    let body = body.map_err(|source| Error::Api { operation: "take a backup", source })?;
    let mut sink = Sink::open(&arguments.output)?;
    let (contents, bytes) = receive(std::pin::pin!(body), &mut sink).await?;
    sink.keep()?;
    let Contents { revision, objects, .. } = contents;
    let text = format!("revision {revision}, {objects} objects, {bytes} bytes: {}", arguments.output.display());
    if is_stdout(&arguments.output) {
        note(&format!("{text}\n"));
    } else {
        println!("{text}");
    }
    Ok(Exit::AsWanted)
}

/// Everything that comes, if it is a whole backup.
async fn receive(mut body: impl AsyncBufRead + Unpin, sink: &mut Sink) -> Result<(Contents, u64), Error> {
    let (mut checker, mut bytes, mut shown) = (Checker::default(), 0, 0);
    let shows = io::stderr().is_terminal();
    loop {
        let piece = body.fill_buf().await.map_err(Error::Interrupted)?;
        if piece.is_empty() {
            break;
        }
        checker.feed(piece).map_err(Error::Backup)?;
        sink.write(piece)?;
        let length = piece.len();
        body.consume_unpin(length);
        bytes += length as u64;
        if shows && bytes >= shown + STEP {
            shown = bytes;
            let (objects, of) = checker.progress();
            note(&format!("\r{objects} of {of} objects, {} MB", bytes / 1_000_000));
        }
    }
    if shown > 0 {
        note("\r\x1b[K");
    }
    Ok((checker.finish().map_err(Error::Backup)?, bytes))
}

impl Sink {
    fn open(output: &Path) -> Result<Self, Error> {
        if is_stdout(output) {
            return Ok(Self::Stdout(io::stdout()));
        }
        // A device or a link would be replaced by a file of that name.
        if fs::symlink_metadata(output).is_ok_and(|there| !there.is_file()) {
            let source = io::Error::other("it is no ordinary file; name another one, or - for the standard output");
            return Err(Error::Write { path: output.to_owned(), source });
        }
        let mut draft = OsString::from(output);
        draft.push(format!(".{}.partial", std::process::id()));
        let draft = PathBuf::from(draft);
        // Nobody else who lives has this number: what is there was left behind.
        match fs::remove_file(&draft) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Write { path: draft, source });
            }
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&draft);
        let file = file.map_err(|source| Error::Write { path: draft.clone(), source })?;
        Ok(Self::File { file, draft: Draft(Some(draft)), name: output.to_owned() })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let (path, written) = match self {
            Self::File { file, name, .. } => (name.clone(), file.write_all(piece)),
            Self::Stdout(stdout) => (PathBuf::from("-"), stdout.write_all(piece)),
        };
        written.map_err(|source| Error::Write { path, source })
    }

    /// On disk, under its name.
    fn keep(self) -> Result<(), Error> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush().map_err(|source| Error::Write { path: "-".into(), source }),
            Self::File { file, draft, name } => {
                let kept = file.sync_all().and_then(|()| draft.put_at(&name));
                kept.map_err(|source| Error::Write { path: name, source })
            }
        }
    }
}

impl Draft {
    fn put_at(mut self, name: &Path) -> io::Result<()> {
        if let Some(draft) = &self.0 {
            fs::rename(draft, name)?;
        }
        self.0 = None;
        let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.0 {
            // There is nobody left to tell; its name says what it is.
            let _ = fs::remove_file(draft);
        }
    }
}

fn is_stdout(output: &Path) -> bool {
    output == Path::new("-")
}

#[expect(clippy::print_stderr, reason = "what is said beside the answer")]
fn note(text: &str) {
    eprint!("{text}");
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};

    use super::*;

    #[test]
    fn what_is_not_whole_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("essaim.backup");
        fs::write(&path, "the one of yesterday").unwrap();
        for wrong in ["", "\u{e}", "no backup at all"] {
            let mut sink = Sink::open(&path).unwrap();
            let received = block_on(receive(Cursor::new(wrong.as_bytes()), &mut sink));
            assert!(matches!(received, Err(Error::Backup(_))), "{wrong:?}");
            drop(sink);
            assert_eq!(fs::read_to_string(&path).unwrap(), "the one of yesterday");
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        }
    }
}
