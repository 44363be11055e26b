//! Retries of pipeline entries and of transactions.

use redis_rest::{Error, ErrorKind, Outcome, Value, cmd};
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse, respond};

fn broke() -> ScriptedResponse {
    ScriptedResponse::Fail(Error::custom(ErrorKind::Io, Outcome::MaybeApplied, "scripted"))
}

/// Sends `answer` to the first request, and replies to later ones by the names of their entries.
fn first(answer: ScriptedResponse) -> Scripted {
    Scripted::new(move |n, body| {
        if n == 0 {
            return answer.clone();
        }
        let entries: Vec<Vec<String>> = serde_json::from_slice(body).expect("a batch");
        let replies: Vec<_> =
            entries.iter().map(|entry| serde_json::json!({ "result": entry[0] })).collect();
        respond(200, serde_json::to_string(&replies).unwrap())
    })
}

/// Sends the lines as a pipeline. Returns for each its reply or the outcome of its error.
async fn pipeline(transport: &Scripted, lines: &[&str]) -> Vec<Result<String, Outcome>> {
    let mut pipe = transport.config().build().unwrap().pipeline();
    let slots: Vec<_> = lines.iter().map(|line| pipe.add_raw::<String>(cmd(line))).collect();
    match pipe.send().await {
        Ok(mut replies) => slots
            .into_iter()
            .map(|slot| replies.take(slot).map_err(|error| error.outcome()))
            .collect(),
        Err(error) => lines.iter().map(|_| Err(error.outcome())).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn only_retry_safe_entries_are_retried() {
    for (lines, again) in [
        (&["GET a", "INCR n", "SET b 1"][..], &["GET a", "SET b 1"][..]),
        (&["INCR n", "LPUSH l x"], &[]),
        // A write before a non-retry-safe one of the same key would undo it.
        (&["SET n 1", "INCR n", "SET m 1"], &["SET m 1"]),
        (&["SET n 1", "INCR m", "DEL n"], &["SET n 1", "DEL n"]),
        (&["INCR n", "SET n 1"], &["SET n 1"]),
        (&["SET a 1", "COPY a b", "INCR b"], &[]),
        (&["FLUSHALL", "INCR n"], &[]),
        (&["FLUSHALL ASYNC", "INCR n"], &[]),
        // A read and its write together are a GETDEL.
        (&["GET k", "DEL k", "SET x 1"], &["SET x 1"]),
        (&["GET k", "FLUSHDB"], &[]),
        (&["GET k", "SET k v", "EXPIRE k 10"], &[]),
        (&["SET k v", "GET k"], &["SET k v", "GET k"]),
        (&["GET n", "INCR n"], &[]),
        (&["GET a", "MGET a b", "PING"], &["GET a", "MGET a b", "PING"]),
    ] {
        let transport = first(broke());
        let replies = pipeline(&transport, lines).await;
        let batches = transport.batches();
        assert_eq!(batches[0], lines);
        assert_eq!(
            batches
                .get(1)
                .map(|batch| batch.iter().map(String::as_str).collect::<Vec<_>>())
                .unwrap_or_default(),
            again,
            "{lines:?}"
        );
        for (line, reply) in lines.iter().zip(replies) {
            let name = line.split(' ').next().unwrap();
            let is_read = matches!(name, "GET" | "MGET");
            let expected = if again.contains(line) {
                Ok(name.to_owned())
            } else if is_read && !again.is_empty() {
                Err(Outcome::NotApplied)
            } else {
                // Without any retry, a single error for the whole, which may have been applied.
                Err(Outcome::MaybeApplied)
            };
            assert_eq!(reply, expected, "{line} of {lines:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_batch_is_sent_again_whole() {
    let lines = ["GET k", "DEL k", "SET n 1", "INCR n"];
    for answer in [
        respond(429, ""),
        ScriptedResponse::Fail(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "scripted")),
    ] {
        let transport = first(answer);
        assert!(pipeline(&transport, &lines).await.iter().all(Result::is_ok));
        assert_eq!(transport.batches()[1], lines);
    }
    // Entries refused one by one: retried from the first of them, if nothing after it ran.
    let transport = first(respond(
        200,
        r#"[{"result":"v"},{"result":1},{"error":"LOADING x"},{"error":"LOADING x"}]"#,
    ));
    assert!(pipeline(&transport, &lines).await.iter().all(Result::is_ok));
    assert_eq!(transport.batches()[1], lines[2..]);
    let transport = first(respond(
        200,
        r#"[{"result":"v"},{"error":"LOADING x"},{"result":"OK"},{"error":"LOADING x"}]"#,
    ));
    let replies = pipeline(&transport, &lines).await;
    assert_eq!(transport.batches().len(), 1, "an entry must not overtake one that ran");
    assert_eq!(replies[1], Err(Outcome::NotApplied));
}

#[tokio::test(start_paused = true)]
async fn pipeline_that_may_have_run_stays_uncertain() {
    let refused =
        ScriptedResponse::Fail(Error::custom(ErrorKind::Connect, Outcome::NotApplied, "scripted"));
    let transport = Scripted::sequence([broke(), refused]);
    let replies = pipeline(&transport, &["GET a", "SET b 1", "INCR n"]).await;
    assert_eq!(
        replies,
        [Err(Outcome::NotApplied), Err(Outcome::MaybeApplied), Err(Outcome::MaybeApplied)]
    );
    assert!(transport.count() > 2);
}

#[tokio::test(start_paused = true)]
async fn transaction_is_retried_whole_or_not_at_all() {
    for (lines, again) in [
        (&["SET a 1", "HSET h f v", "EXPIRE h 10", "GET a"][..], true),
        (&["GET a", "MGET a b"], true),
        (&["SET a 1", "INCR n"], false),
        (&["GET k", "DEL k"], false),
        (&["GET k", "FLUSHALL"], false),
        (&["SDIFFSTORE d s t", "SADD t x"], false),
    ] {
        for (answer, again) in [(broke(), again), (respond(429, ""), true)] {
            let transport = first(answer);
            let mut tx = transport.config().build().unwrap().transaction();
            for line in lines {
                let _ = tx.add_raw::<Value>(cmd(line));
            }
            let result = tx.send().await;
            assert_eq!(
                (result.is_ok(), transport.count()),
                (again, 1 + usize::from(again)),
                "{lines:?}"
            );
            assert!(result.is_ok() || result.is_err_and(|error| error.maybe_applied()));
        }
    }
}
