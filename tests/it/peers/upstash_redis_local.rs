//! A server without `/pipeline`, which it takes for a command.

use super::{client, server};
use redis_rest::cmd;
use redis_rest_test_support::scripted::{Answer, Scripted, redis_error, says};

/// Returns a server without pipelines; `refusal` is its response to them.
fn without_pipelines(refusal: fn() -> Answer) -> Scripted {
    server(move |path, _| match path {
        "/pipeline" => refusal(),
        _ => says(200, r#"{"result":1}"#),
    })
}

const REFUSALS: [fn() -> Answer; 4] = [
    || redis_error(400, "ERR unknown command 'pipeline'"),
    || says(404, "not found"),
    || says(405, ""),
    || says(501, ""),
];

#[tokio::test]
async fn pipeline_goes_one_by_one_and_is_not_tried_again() {
    for refusal in REFUSALS {
        let server = without_pipelines(refusal);
        let client = client(&server);
        for round in 0..2 {
            let before = server.count();
            let mut pipeline = client.pipeline();
            let replies: Vec<_> = (0..3).map(|_| pipeline.add(cmd::incr("n"))).collect();
            let mut results = pipeline.send().await.unwrap();
            for reply in replies {
                assert_eq!(results.take(reply).unwrap(), 1);
            }
            assert_eq!(server.count() - before, if round == 0 { 4 } else { 3 });
        }
    }
}

#[tokio::test]
async fn calls_at_the_same_time_succeed_without_pipelines() {
    for refusal in REFUSALS {
        let client = client(&without_pipelines(refusal));
        let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.incr("n"))).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), 1);
        }
    }
}
