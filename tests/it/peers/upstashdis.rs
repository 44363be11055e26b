//! A server without `/multi-exec` that responds to a subscription with JSON.

use super::{client, server};
use redis_rest::{ErrorKind, Outcome, cmd};
use redis_rest_test_support::scripted::{redis_error, respond};

#[tokio::test]
async fn transactions_without_an_endpoint_are_unsupported() {
    for answer in [
        redis_error(400, "ERR unknown command 'multi-exec', with args beginning with: "),
        respond(404, "not found"),
        respond(501, ""),
    ] {
        let server = server(move |_, _| answer.clone());
        let client = client(&server);
        let mut transaction = client.transaction();
        let _ = transaction.add(cmd::incr("n"));
        let error = transaction.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(server.count(), 1);
    }
}
