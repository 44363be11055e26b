//! A server that refuses scripts, and prefixes the error of a transaction.

use super::{client, server};
use redis_rest::{ErrorKind, Outcome, cmd};
use redis_rest_test_support::scripted::redis_error;

#[tokio::test]
async fn blocked_command_is_unsupported() {
    let server = server(|_, _| redis_error(403, "Command 'EVAL' is blocked: it is dangerous"));
    let error = client(&server).eval::<i64>("return 1", (), ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.server_message().unwrap().contains("is blocked"), "{error:?}");
}

#[tokio::test]
async fn failed_transaction_may_have_run() {
    let server = server(|_, _| redis_error(400, "Transaction failed: WRONGTYPE Operation"));
    let client = client(&server);
    let mut transaction = client.transaction();
    let _ = transaction.add(cmd::set("a", "1"));
    let error = transaction.send().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::MaybeApplied);
}
