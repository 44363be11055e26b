//! A server that declares all replies as RESP2, although only strings are.

use super::{config, server};
use redis_rest::{Encoding, ErrorKind, cmd};
use redis_rest_test_support::scripted::{ScriptedResponse, respond_as};

const RESP2: &str = "application/octet-stream";

fn answer(path: &str, body: &str) -> ScriptedResponse {
    match path {
        "/" if body.contains("GET") => respond_as(RESP2, "$3\r\nabc\r\n"),
        "/" => respond_as(RESP2, r#"{"result":["1","2"]}"#),
        _ => respond_as(RESP2, r#"[{"result":"abc"},{"result":"abc"}]"#),
    }
}

#[tokio::test]
async fn reply_that_is_not_resp2_is_an_error_and_not_garbage() {
    let server = server(answer);
    let client = config(&server).encoding(Encoding::Resp2).no_retry().build().unwrap();
    assert_eq!(client.get::<String>("k").await.unwrap(), "abc");
    let error = client.lrange::<String>("l", 0, -1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let mut pipeline = client.pipeline();
    let _ = [0, 1].map(|_| pipeline.add(cmd::get::<String>("k")));
    assert_eq!(pipeline.send().await.unwrap_err().kind(), ErrorKind::Decode);
}
