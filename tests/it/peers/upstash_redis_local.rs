//! A server without `/pipeline`, which it takes for a command.

use super::{client, server};
use redis_rest::cmd;
use redis_rest_test_support::scripted::{Scripted, ScriptedResponse, redis_error, respond};

/// Returns a server without pipelines; `refusal` is its response to them.
fn without_pipelines(refusal: fn() -> ScriptedResponse) -> Scripted {
    server(move |path, _| match path {
        "/pipeline" => refusal(),
        _ => respond(200, r#"{"result":1}"#),
    })
}

const REFUSALS: [fn() -> ScriptedResponse; 4] = [
    || redis_error(400, "ERR unknown command 'pipeline'"),
    || respond(404, "not found"),
    || respond(405, ""),
    || respond(501, ""),
];

#[tokio::test]
async fn pipelines_fall_back_to_single_commands_once() {
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
async fn concurrent_calls_succeed_without_pipelines() {
    for refusal in REFUSALS {
        let client = client(&without_pipelines(refusal));
        let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.incr("n"))).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), 1);
        }
    }
}
