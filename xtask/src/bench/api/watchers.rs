//! Many watches over TLS while somebody writes: is every change told to everybody?

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::figures::now;
use crate::error::Error;
use crate::platform::{self, Platform};

/// Writers take turns, each on a connection of its own, so that one slow answer does not slow the rate.
const WRITERS: u32 = 8;
/// What processor time is counted in: USER_HZ, which is 100 wherever Linux tells ticks to programs.
const TICKS_A_SECOND: f64 = 100.0;
/// The watches end by themselves so long after the last write.
const SETTLE: Duration = Duration::from_secs(4);

/// What the watchers saw.
pub(super) struct Seen {
    /// As made: the machine may not manage what was asked for.
    pub(super) changes_per_second: f64,
    /// Events seen, of those that there were for all watchers together.
    pub(super) share: f64,
    /// Of the server, its writes included.
    pub(super) microseconds_per_event: f64,
}

/// Where and as whom.
struct Door {
    address: String,
    token: String,
    collection: String,
    tls: TlsConnector,
}

/// Watches a collection `watchers` times while `rate` changes a second are made in it, for so long.
///
/// # Errors
/// A connection failed, or a request was refused.
pub(super) fn run(
    platform: &Platform,
    login: &str,
    collection: &str,
    watchers: u32,
    rate: u32,
    period: Duration,
) -> Result<Seen, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::file("start", "an asynchronous runtime"))?;
    let pid = platform.pid().ok_or_else(|| Error::Claim("essaim has ended".into()))?;
    let door = Arc::new(Door {
        address: platform.api().to_owned(),
        token: platform::token(login),
        collection: collection.to_owned(),
        tls: connector(&platform.certificate_authority())?,
    });
    runtime
        .block_on(measure(door, pid, watchers, rate, period))
        .map_err(|why| Error::Exchange { what: format!("{watchers} watches"), why: why.to_string() })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn measure(door: Arc<Door>, pid: u32, watchers: u32, rate: u32, period: Duration) -> Result<Seen, Failure> {
    let (stop, stopped) = watch::channel(false);
    let revision = door.newest().await?;
    let path = format!("{}?watch=true&resourceVersion={revision}", door.collection);
    let mut watches = JoinSet::new();
    for _ in 0..watchers {
        let mut stream = door.ask("GET", &path, "").await?;
        head(&mut stream).await?;
        watches.spawn(count(stream, stopped.clone()));
    }
    let before = processor_ticks(pid)?;
    let (changes, took) = write(&door, rate, period).await?;
    tokio::time::sleep(SETTLE).await;
    let ticks = processor_ticks(pid)? - before;
    stop.send_replace(true);
    let mut events = 0;
    while let Some(seen) = watches.join_next().await {
        events += seen??;
    }
    Ok(Seen {
        changes_per_second: f64::from(changes) / took.as_secs_f64(),
        share: f64::from(events) / (f64::from(changes) * f64::from(watchers)),
        microseconds_per_event: ticks / TICKS_A_SECOND * 1e6 / f64::from(events.max(1)),
    })
}

/// Changes objects of its own at this rate; how many changes were made, and in what time.
async fn write(door: &Arc<Door>, rate: u32, period: Duration) -> Result<(u32, Duration), Failure> {
    let each = rate / WRITERS.min(rate);
    let writers = rate / each;
    let start = now();
    let mut writing = JoinSet::new();
    for writer in 0..writers {
        let door = door.clone();
        writing.spawn(async move {
            let name = format!("watched-{rate}-{writer}");
            let mut made = 0;
            let mut stream = None;
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / each);
            while start.elapsed() < period {
                ticks.tick().await;
                let (method, path) = if made == 0 {
                    ("POST", door.collection.clone())
                } else {
                    ("PATCH", format!("{}/{name}", door.collection))
                };
                stream = Some(door.exchange(stream, method, &path, &body(&name, made)).await?);
                made += 1;
            }
            Ok::<u32, Failure>(made)
        });
    }
    let mut changes = 0;
    while let Some(made) = writing.join_next().await {
        changes += made??;
    }
    Ok((changes, start.elapsed()))
}

/// The object when it is new, and the change of it afterwards.
fn body(name: &str, change: u32) -> String {
    let labels = format!(r#""labels":{{"change":"{change}"}}"#);
    if change > 0 {
        return format!(r#"{{"metadata":{{{labels}}}}}"#);
    }
    format!(
        r#"{{"apiVersion":"essaim.dev/v1alpha1","kind":"NotebookServer","metadata":{{"name":"{name}",{labels}}},"spec":{{"class":"plain","suspend":true}}}}"#
    )
}

type Stream = BufReader<TlsStream<TcpStream>>;

impl Door {
    /// Sends a request on a connection of its own.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<Stream, Failure> {
        let socket = TcpStream::connect(&self.address).await?;
        socket.set_nodelay(true)?;
        let mut stream = BufReader::new(self.tls.connect(ServerName::try_from("localhost")?, socket).await?);
        self.send(&mut stream, method, path, body).await?;
        Ok(stream)
    }

    async fn send(&self, stream: &mut Stream, method: &str, path: &str, body: &str) -> Result<(), Failure> {
        let media_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let (token, length) = (&self.token, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
        Ok(stream.flush().await?)
    }

    /// One exchange, on the connection of the one before if there was one.
    async fn exchange(&self, stream: Option<Stream>, method: &str, path: &str, body: &str) -> Result<Stream, Failure> {
        let mut stream = match stream {
            Some(mut stream) => {
                self.send(&mut stream, method, path, body).await?;
                stream
            }
            None => self.ask(method, path, body).await?,
        };
        let length = head(&mut stream).await?;
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(stream)
    }

    /// The store's revision.
    async fn newest(&self) -> Result<String, Failure> {
        let mut stream = self.ask("GET", &format!("{}?limit=1", self.collection), "").await?;
        let mut answer = vec![0; head(&mut stream).await?];
        stream.read_exact(&mut answer).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        Ok(answer["metadata"]["resourceVersion"].as_str().ok_or("a list without a revision")?.to_owned())
    }
}

/// Reads the head of an answer; the length of its body, 0 if it has none that was told.
async fn head(stream: &mut Stream) -> Result<usize, Failure> {
    let (mut length, mut line) = (0, String::new());
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 2") {
        return Err(format!("an answer began with {line:?}").into());
    }
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err("an answer ended in its head".into());
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
    }
    Ok(length)
}

/// Counts the events of a watch until it is stopped: the line ends that do not belong to the framing of the chunks.
async fn count(mut stream: Stream, mut stopped: watch::Receiver<bool>) -> Result<u32, Failure> {
    let (mut events, mut before) = (0, b'\n');
    loop {
        let read = tokio::select! {
            read = stream.fill_buf() => read?,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(events),
        };
        if read.is_empty() {
            return Err("a watch ended early".into());
        }
        for byte in read {
            events += u32::from(*byte == b'\n' && before != b'\r');
            before = *byte;
        }
        let length = read.len();
        stream.consume(length);
    }
}

fn connector(authority: &Path) -> Result<TlsConnector, Error> {
    let pem = fs::read(authority).map_err(Error::file("read", authority))?;
    let claim = |why: String| Error::Claim(format!("{} is no certificate authority: {why}", authority.display()));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).map_err(|error| claim(error.to_string()))?)
        .map_err(|error| claim(error.to_string()))?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// Processor time of a process and its threads so far.
fn processor_ticks(pid: u32) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = text.rsplit_once(')').ok_or("a process without a name")?.1;
    // Fields 14 and 15 of the whole line: user and system.
    let times = behind_name.split_whitespace().skip(11).take(2);
    Ok(times.filter_map(|time| time.parse::<f64>().ok()).sum())
}
