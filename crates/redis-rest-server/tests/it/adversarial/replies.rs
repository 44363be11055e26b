use redis_rest::{Client, Outcome, Value, cmd};
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::connection::{connect, exchange, pong};
use redis_rest_test_support::{raw, rest as server};

const KEYS: usize = 100_000;

async fn filled() -> MemoryBackend {
    let engine = MemoryBackend::new();
    let client = Client::from_backend(engine.clone());
    let pairs: Vec<String> =
        (0..KEYS).flat_map(|number| [format!("key:{number}"), String::new()]).collect();
    client.run::<Value>(cmd("MSET").args(pairs)).await.unwrap();
    engine
}

#[tokio::test]
async fn large_key_list_arrives_while_others_are_served() {
    let server = server::serve(filled().await).await;
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(raw::request(server.local_addr(), "POST", "/", "[\"KEYS\",\"*\"]")))
        .collect();
    let mut other = connect(server.local_addr()).await;
    for _ in 0..50 {
        assert_eq!(exchange(&mut other, "[\"PING\"]").await, pong());
    }
    for answer in asking {
        let (status, body) = answer.await.unwrap();
        assert_eq!((status, body.matches("key:").count()), (200, KEYS));
    }
}

#[tokio::test]
async fn oversized_replies_become_errors_in_place() {
    let server =
        server::serve_with(filled().await, |config| config.max_reply_bytes(1_000_000)).await;
    let client = server::client(&server);
    let script = "redis.call('INCR', 'ran') return redis.call('KEYS', '*')";
    let error = client.eval::<Value>(script, (), ()).await.unwrap_err();
    assert_eq!(
        (error.outcome(), client.get::<u64>("ran").await.unwrap()),
        (Outcome::MaybeApplied, 1)
    );
    assert!(error.to_string().contains("max response size exceeded"), "{error}");
    // A value stored once would be written a hundred thousand times: 40 GB.
    client.set("large", "x".repeat(400_000)).await.unwrap();
    let gets = format!("[{}[\"INCR\",\"n\"]]", "[\"GET\",\"large\"],".repeat(99_999));
    for target in ["/pipeline", "/multi-exec"] {
        let (status, body) = raw::request(server.local_addr(), "POST", target, &gets).await;
        let replies: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        assert_eq!((status, replies.len()), (200, 100_000));
        let whole = replies
            .iter()
            .filter(|reply| reply["result"].as_str().is_some_and(|text| text.len() == 400_000))
            .count();
        assert_eq!(whole, 2);
        assert!(
            replies[2]["error"]
                .as_str()
                .is_some_and(|text| text.starts_with("ERR max response size exceeded"))
        );
        // Small replies still fit behind it.
        assert!(replies[99_999]["result"].is_number());
    }
    let mut pipe = client.pipeline();
    let large: Vec<_> = (0..3).map(|_| pipe.add(cmd::get::<String>("large"))).collect();
    let mut replies = pipe.send().await.unwrap();
    assert!(
        large
            .into_iter()
            .map(|entry| replies.take(entry).is_ok())
            .collect::<Vec<_>>()
            .ends_with(&[false])
    );
}
