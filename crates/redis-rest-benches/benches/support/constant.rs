//! A server with a constant response, in a separate process: the remaining cost is that of HTTP and
//! of the client.

use super::Process;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// First argument of the server process.
const ROLE: &str = "--constant-server";

/// The server's process, which ends when this is dropped.
pub struct Constant {
    _process: Process,
    pub addr: SocketAddr,
}

impl Constant {
    /// Starts this program a second time, as a server of replies with `value_bytes` bytes.
    pub fn start(value_bytes: usize) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process =
            Process(command.args([ROLE, &value_bytes.to_string()]).stdout(Stdio::piped()).spawn()?);
        match process.first_line()?.trim().parse() {
            Ok(addr) => Ok(Self { _process: process, addr }),
            Err(_) => Err(std::io::Error::other("the server did not say its address")),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// Serves for ever if this process was started as a server.
pub fn serve_if_started_as_server() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ROLE) {
        return;
    }
    let value_bytes = args.next().and_then(|text| text.parse().ok()).unwrap_or(500);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(serve(value_bytes)).expect("a free port on loopback");
}

async fn serve(value_bytes: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let replies = Arc::new(Replies::new(value_bytes));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let replies = Arc::clone(&replies);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&replies), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    replies: Arc<Replies>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let resp2 = request.headers().contains_key("upstash-response-format");
    let many = request.uri().path() == "/pipeline";
    let body = request.into_body().collect().await?.to_bytes();
    let count = many.then(|| 1 + memmem::find_iter(&body, b"],[").count());
    let writes = body.starts_with(b"[\"SET") || body.starts_with(b"[[\"SET");
    let mut response = Response::new(Full::new(replies.get(count, writes, resp2)));
    let kind = if resp2 { "application/octet-stream" } else { "application/json" };
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    Ok(response)
}

/// Number of replies (`None`: not a pipeline), whether to writes, and whether in RESP2.
type Kind = (Option<usize>, bool, bool);

/// Bodies, each created once.
struct Replies {
    value: Vec<u8>,
    made: Mutex<HashMap<Kind, Bytes>>,
}

impl Replies {
    fn new(value_bytes: usize) -> Self {
        Self { value: value(value_bytes).into_bytes(), made: Mutex::default() }
    }

    fn get(&self, count: Option<usize>, writes: bool, resp2: bool) -> Bytes {
        let mut made = self.made.lock().expect("nothing panics under it");
        made.entry((count, writes, resp2))
            .or_insert_with(|| self.make(count, writes, resp2).into())
            .clone()
    }

    fn make(&self, count: Option<usize>, writes: bool, resp2: bool) -> Vec<u8> {
        let one = match (writes, resp2) {
            (true, true) => b"+OK\r\n".to_vec(),
            (true, false) => br#"{"result":"OK"}"#.to_vec(),
            (false, true) => {
                [format!("${}\r\n", self.value.len()).as_bytes(), &self.value, b"\r\n"].concat()
            }
            (false, false) => {
                format!(r#"{{"result":"{}"}}"#, base64_simd::STANDARD.encode_to_string(&self.value))
                    .into_bytes()
            }
        };
        match (count, resp2) {
            (None, _) => one,
            (Some(count), true) => {
                [format!("*{count}\r\n").into_bytes(), one.repeat(count)].concat()
            }
            (Some(count), false) => {
                [b"[".to_vec(), vec![one; count].join(&b","[..]), b"]".to_vec()].concat()
            }
        }
    }
}

/// Returns a text of this length that looks like a stored session.
pub fn value(bytes: usize) -> String {
    let start = r#"{"id":"0d1f7a52-4d0b-4c7e-9a51-5b1f0a3c7e11","user_id":"user-123","organization_id":"org-456","metadata":{"note":""#;
    let end = r#""}}"#;
    format!("{start}{}{end}", "x".repeat(bytes.saturating_sub(start.len() + end.len())))
}
