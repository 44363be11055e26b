//! Requests that the server accepts, and the arrival of the client's requests.

use super::block_on;
use super::input::{Input, same};
use http::request::Parts;
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use redis_rest::backend::rest::{HttpRequest, HttpResponse, RestBackend, Transport};
use redis_rest::backend::{Backend, Reply};
use redis_rest::internal::{Secret, fuzzing::encode};
use redis_rest::{
    BoxFuture, CallOptions, Command, Config, Encoding, Error, Idempotency, Result, ServerError,
    Value,
};
use redis_rest_server::internal::{self as request, Answer, Service};
use std::sync::{Arc, Mutex};
use url::Url;

const TOKEN: &str = "full-t0ken";
const READ_ONLY_TOKEN: &str = "read-t0ken";

fn parts(command: &Command) -> Vec<Vec<u8>> {
    command.parts().map(<[u8]>::to_vec).collect()
}

/// A backend that records commands and returns scripted replies.
#[derive(Clone, Default)]
struct Recorder {
    given: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
    replies: Arc<Mutex<Vec<Reply>>>,
}

impl Recorder {
    fn given(&self) -> Vec<Vec<Vec<u8>>> {
        self.given.lock().unwrap().clone()
    }

    fn take(&self, command: &Command) -> Reply {
        // The guard's question about a command's flags: this backend knows no flags.
        if command.is("COMMAND") {
            return Err(Error::redis(ServerError::new("ERR unknown command 'COMMAND'")));
        }
        let mut given = self.given.lock().unwrap();
        given.push(parts(command));
        self.replies.lock().unwrap().get(given.len() - 1).cloned().unwrap_or(Ok(Value::Nil))
    }
}

impl Backend for Recorder {
    fn execute<'a>(&'a self, command: &'a Command, _: &'a CallOptions) -> BoxFuture<'a, Reply> {
        Box::pin(async { self.take(command) })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async { commands.iter().map(|command| self.take(command)).collect() })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        _: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async { Ok(commands.iter().map(|command| self.take(command)).collect()) })
    }
}

async fn answer(service: &Service, head: &Parts, body: &[u8]) -> Option<Answer> {
    match service.admit(head) {
        Ok(admitted) if admitted.is_stream() => None,
        Ok(admitted) => {
            let body = bytes::Bytes::copy_from_slice(body);
            Some(service.perform(head, &admitted, body, service.reserve()).await)
        }
        Err(refusal) => Some(*refusal),
    }
}

/// Checks a body or an address: an accepted request is equal when written again, and nothing runs
/// without the token.
pub fn server_request(data: &[u8]) {
    let mut input = Input::new(data);
    let form = input.below(4);
    match form {
        0 => body_form(input.rest()),
        1 => path_form(&mut input),
        _ => whole(&mut input, form == 3),
    }
}

fn body_form(body: &[u8]) {
    let weight = |command: &Command| command.byte_len() + command.parts().len();
    if let Ok(command) = request::command(body) {
        assert!(!command.name().is_empty() && weight(&command) <= body.len());
        let again = encode(&command).expect("what came as JSON is text");
        assert!(request::command(&again).is_ok_and(|second| parts(&second) == parts(&command)));
        let list = [b"[", body, b",", &again, b"]"].concat();
        let both = request::commands(&list).expect("a list of commands that can be read alone");
        assert!(both.len() == 2 && both.iter().all(|one| parts(one) == parts(&command)));
    }
    if let Ok(commands) = request::commands(body) {
        assert!(!commands.is_empty() && commands.iter().map(weight).sum::<usize>() <= body.len());
    }
}

fn path_form(input: &mut Input<'_>) {
    let (text, body) = (input.text(), input.bytes());
    let Ok(target) = PathAndQuery::try_from(text) else { return };
    let Ok(command) = request::path(target.path(), target.query(), body) else { return };
    assert!(!command.name().is_empty());
    assert!(command.byte_len() <= target.as_str().len() + body.len());
    // Written again as a path alone: each part a segment, and one more slash, since the last is not
    // counted.
    let segments: String = command
        .parts()
        .map(|part| format!("/{}", percent_encode(part, NON_ALPHANUMERIC)))
        .collect();
    let again = request::path(&format!("{segments}/"), None, b"").expect("segments are parts");
    assert!(parts(&again) == parts(&command));
}

/// Checks a complete request, with a valid token or an invalid one.
fn whole(input: &mut Input<'_>, with_token: bool) {
    let method = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"][input.below(6)];
    let target = input.text();
    let header = input.text();
    let format = input.below(4);
    let mut request = http::Request::builder().method(method).uri(target);
    request = match (with_token, header.is_empty()) {
        (true, _) => request.header("authorization", format!("Bearer {READ_ONLY_TOKEN}")),
        (false, false) => request.header("authorization", header.clone()),
        (false, true) => request,
    };
    for (bit, (name, value)) in
        [("upstash-encoding", "base64"), ("upstash-response-format", "resp2")]
            .into_iter()
            .enumerate()
    {
        if format >> bit & 1 == 1 {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else { return };
    let head = request.into_parts().0;
    let recorder = Recorder::default();
    let service = Service::new(
        Arc::new(recorder.clone()),
        Secret::new(TOKEN),
        Some(Secret::new(READ_ONLY_TOKEN)),
        1000,
        1 << 20,
        usize::MAX,
    );
    let answered = block_on(answer(&service, &head, input.rest()));
    let given = recorder.given();
    let knows = |text: &str| text.contains("t0ken");
    if !with_token
        && !knows(&header)
        && !head.uri.query().is_some_and(|query| knows(query) || query.contains('%'))
    {
        assert!(
            given.is_empty()
                && answered.is_none_or(|answer| matches!(answer.status().as_u16(), 401 | 405))
        );
        return;
    }
    for command in given.iter().filter(|_| with_token) {
        let command = Command::from_parts(command.iter().map(Vec::as_slice));
        let allowed = ["ECHO", "PING", "TIME"].iter().any(|name| command.is(name));
        assert!(
            allowed || command.idempotency() == Idempotency::ReadOnly,
            "a read-only token wrote"
        );
    }
}

/// Passes requests to a server without a network in between.
struct Direct {
    service: Service,
    base: Url,
}

impl Transport for Direct {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        Box::pin(async move {
            assert_eq!(request.url.origin(), self.base.origin());
            let target = request.url[url::Position::BeforePath..]
                .strip_prefix("/base")
                .expect("under the base");
            let head = http::Request::post(target).body(()).expect("a target that can be sent");
            let mut head = head.into_parts().0;
            head.headers = request.headers;
            let answer =
                answer(&self.service, &head, &request.body).await.expect("no event stream");
            let (parts, body) = answer.into_parts();
            Ok(HttpResponse::new(parts.status.as_u16(), parts.headers, body.into_bytes()))
        })
    }
}

fn command(input: &mut Input<'_>) -> Command {
    let names = ["GET", "set", "HSET", "EVALSHA", "x.y", "pipeline"];
    let name = match input.byte() {
        choice if usize::from(choice) < names.len() => names[usize::from(choice)].as_bytes(),
        _ => input.bytes(),
    };
    let count = input.below(6);
    Command::from_parts([name].into_iter().chain((0..count).map(|_| input.bytes())))
}

/// Checks commands from the client to the backend behind the server, and the replies back: both
/// arrive unchanged, or an error says that nothing was sent.
pub fn round_trip(data: &[u8]) {
    let mut input = Input::new(data);
    let (form, format) = (input.below(4), [Encoding::Base64, Encoding::Resp2][input.below(2)]);
    let count = if form < 2 { 1 } else { 1 + input.below(3) };
    let commands: Vec<Command> = (0..count).map(|_| command(&mut input)).collect();
    let replies: Vec<Reply> = (0..count).map(|_| input.reply()).collect();
    let recorder =
        Recorder { replies: Arc::new(Mutex::new(replies.clone())), ..Recorder::default() };
    let service = Service::new(
        Arc::new(recorder.clone()),
        Secret::new(TOKEN),
        None,
        1 << 20,
        1 << 20,
        usize::MAX,
    );
    let base = Url::parse("https://server.example/base").unwrap();
    let config = Config::new()
        .url(base.as_str())
        .token(TOKEN)
        .no_retry()
        .no_auto_batch()
        .paths_arrive_as_sent()
        .encoding(format);
    let client = RestBackend::new(config.transport(Direct { service, base })).unwrap();
    let options = CallOptions::default();
    let got = match form {
        0 | 1 => vec![block_on(client.execute(&commands[0], &options))],
        2 => block_on(client.pipeline(&commands, &options)),
        _ => match block_on(client.transaction(&commands, &options)) {
            Ok(replies) => replies,
            Err(_) => {
                return assert!(recorder.given().is_empty(), "a transaction that was refused ran");
            }
        },
    };
    assert_eq!(got.len(), commands.len());
    let given = recorder.given();
    // Refused commands have an error instead; the others ran in order.
    let mut ran = 0;
    for (command, got) in commands.iter().zip(&got) {
        if given.get(ran).is_some_and(|given| *given == parts(command)) && same(got, &replies[ran])
        {
            ran += 1;
        } else {
            let error = got.as_ref().expect_err("another reply than the backend's");
            assert!(
                !error.maybe_applied() || error.server_message().is_some(),
                "no answer came back"
            );
        }
    }
    assert_eq!(ran, given.len(), "something else ran than was sent");
}
