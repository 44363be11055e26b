//! A server that replaces bytes that are not UTF-8 before it encodes, and writes integers as
//! doubles.

use super::{client, server};
use redis_rest::ErrorKind;
use redis_rest_test_support::scripted::respond;

/// The client cannot detect the server's loss; `doctor` does.
#[tokio::test]
async fn bytes_arrive_as_stored_by_the_server() {
    let server = server(|_, _| respond(200, r#"{"result":"77+9eA=="}"#));
    let value: Vec<u8> = client(&server).get("k").await.unwrap();
    assert_eq!(value, "\u{FFFD}x".as_bytes());
}

#[tokio::test]
async fn integer_that_is_written_as_a_double_is_no_integer() {
    let server = server(|_, _| respond(200, r#"{"result":9.007199254740993e15}"#));
    let error = client(&server).incrby("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.maybe_applied());
}
