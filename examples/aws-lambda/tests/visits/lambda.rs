//! A local Lambda: an API that hands out events and receives responses, and can freeze the function
//! in between.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::process::{Child, Command};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

/// A running function, which ends when this is dropped.
pub struct Function {
    process: Child,
    events: mpsc::UnboundedSender<Value>,
    answers: mpsc::UnboundedReceiver<(String, Value)>,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Value>>,
    answers: mpsc::UnboundedSender<(String, Value)>,
}

impl Function {
    /// Starts the built function with this address of Redis.
    pub async fn start(redis_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap().to_string();
        let (events, events_receiver) = mpsc::unbounded_channel();
        let (answers_sender, answers) = mpsc::unbounded_channel();
        let shared = Arc::new(Api { events: Mutex::new(events_receiver), answers: answers_sender });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| serve(Arc::clone(&shared), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        let process = Command::new(env!("CARGO_BIN_EXE_visits"))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "visits"),
            ])
            .envs([
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ])
            .envs([
                ("REDIS_REST_URL", redis_url),
                ("REDIS_REST_TOKEN", redis_rest_server::DEFAULT_TOKEN),
            ])
            .spawn()
            .unwrap();
        Self { process, events, answers }
    }

    /// Invokes the function with a visitor's request that carries these cookies. Returns the
    /// function's response.
    pub async fn visit(&mut self, cookies: &[&str]) -> Value {
        self.events.send(event(cookies)).unwrap();
        let (how, answer) = self.answers.recv().await.unwrap();
        assert_eq!(how, "response", "{answer}");
        answer
    }

    /// Stops the process, as Lambda does between events, or continues it.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the process is ours");
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn serve(
    api: Arc<Api>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
    if request.method() == Method::GET && path == "invocation/next" {
        // Without further events the test is over.
        let event = api.events.lock().await.recv().await.unwrap_or_default();
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-west-1:123456789012:function:visits",
            );
        return Ok(response.body(event.to_string().into()).unwrap());
    }
    // `invocation/ID/response`, `invocation/ID/error` or `init/error`.
    let how = path.rsplit('/').next().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let _ = api.answers.send((how, serde_json::from_slice(&body).unwrap_or_default()));
    Ok(Response::builder().status(202).body(Full::default()).unwrap())
}

/// Returns an event of an HTTP API, payload format 2.0.
fn event(cookies: &[&str]) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "cookies": cookies,
        "headers": { "accept": "*/*", "host": "api-id.execute-api.eu-west-1.amazonaws.com", "x-forwarded-proto": "https" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "api-id.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "api-id",
            "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent" },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_u64
        },
        "isBase64Encoded": false
    })
}
