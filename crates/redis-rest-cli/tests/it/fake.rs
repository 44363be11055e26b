//! A REST server that is correct except for the fault a test sets up.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub struct Request {
    pub path: String,
    /// The request asks for replies in base64.
    pub base64: bool,
    pub resp2: bool,
    pub body: Value,
    /// The body of the path form.
    pub raw: Vec<u8>,
}

impl Request {
    /// Returns the name of the first command.
    pub fn name(&self) -> &str {
        let first = &self.body[0];
        first.as_str().or_else(|| first[0].as_str()).unwrap_or_default()
    }

    /// Returns the request without the wish for base64 or RESP2.
    pub fn plain(&self) -> Self {
        let path = self.path.clone();
        let body = self.body.clone();
        let raw = self.raw.clone();
        Self { path, base64: false, resp2: false, body, raw }
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: &'static str,
    pub body: String,
}

pub fn json_answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: "Content-Type: application/json\r\n", body: body.to_string() }
}

pub fn error(status: u16, text: &str) -> Answer {
    json_answer(status, &json!({ "error": text }))
}

/// Starts a server that responds by `answer`, or correctly if `answer` returns `None`. Returns its
/// address.
pub fn start(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    // Ends with the test process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream, &*answer));
        }
    });
    url
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Option<Answer>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let request = read(&mut reader)?;
        let Answer { status, headers, body } =
            answer(&request).unwrap_or_else(|| healthy(&request));
        let head =
            format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        writer.write_all((head + &body).as_bytes()).ok()?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path: head.split(' ').nth(1)?.to_owned(),
        base64: lower.contains("upstash-encoding: base64"),
        resp2: lower.contains("upstash-response-format: resp2"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        raw: body,
    })
}

/// Returns the response of a correct server.
pub fn healthy(request: &Request) -> Answer {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let one = |command: &Value| match command[0].as_str().unwrap_or_default() {
        "PING" => json!({ "result": text(request, "PONG") }),
        "ECHO" => json!({ "result": text(request, command[1].as_str().unwrap_or_default()) }),
        "SET" => json!({ "result": "OK" }),
        "TIME" => time(request, now),
        "LLEN" => json!({ "error": "WRONGTYPE Operation against a key" }),
        "EVAL" if command[1] != "return 1" => json!({ "result": bytes(request, b"\xff\x80x") }),
        "INCRBY" => json!({ "result": (1_i64 << 53) + 1 }),
        _ => json!({ "result": 1 }),
    };
    let body = match request.path.as_str() {
        "/" => one(&request.body),
        "/ECHO" => json!({ "result": bytes(request, &request.raw) }),
        _ => request.body.as_array().unwrap().iter().map(one).collect(),
    };
    json_answer(200, &body)
}

/// Returns the reply to `TIME`.
pub fn time(request: &Request, now: Duration) -> Value {
    json!({ "result": [text(request, &now.as_secs().to_string()), text(request, &now.subsec_micros().to_string())] })
}

pub fn text(request: &Request, text: &str) -> Value {
    bytes(request, text.as_bytes())
}

/// Returns bytes in the encoding that the request asks for.
pub fn bytes(request: &Request, bytes: &[u8]) -> Value {
    if request.base64 {
        base64_simd::STANDARD.encode_to_string(bytes).into()
    } else {
        String::from_utf8_lossy(bytes).into()
    }
}
