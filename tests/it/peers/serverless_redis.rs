//! A server that sends the commands of a transaction one by one, and replies with the error of one
//! for all.

use super::{client, server};
use redis_rest::{ErrorKind, Outcome, cmd};
use redis_rest_test_support::scripted::redis_error;

#[tokio::test]
async fn transaction_error_may_have_run() {
    for (status, text, kind, outcome) in [
        (400, "WRONGTYPE Operation against a key", ErrorKind::Redis, Outcome::MaybeApplied),
        (400, "ERR syntax error", ErrorKind::Redis, Outcome::MaybeApplied),
        (
            400,
            "NOPERM this user has no permissions",
            ErrorKind::Unauthorized,
            Outcome::MaybeApplied,
        ),
        (400, "LOADING Redis is loading", ErrorKind::Redis, Outcome::MaybeApplied),
        (400, "EXECABORT Transaction discarded", ErrorKind::Discarded, Outcome::NotApplied),
        (400, "ERR Transaction discarded", ErrorKind::Discarded, Outcome::NotApplied),
        (401, "WRONGPASS invalid token", ErrorKind::Unauthorized, Outcome::NotApplied),
        (401, "ERR invalid token", ErrorKind::Unauthorized, Outcome::NotApplied),
        (413, "ERR max request size exceeded", ErrorKind::Redis, Outcome::NotApplied),
    ] {
        let server = server(move |_, _| redis_error(status, text));
        let client = client(&server);
        let mut transaction = client.transaction();
        let _ = transaction.add(cmd::set("a", "1"));
        let _ = transaction.add(cmd::incr("n"));
        let error = transaction.send().await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{status} {text}");
        assert_eq!(server.count(), 1, "{text}: not sent again");
    }
}
