//! Matchers on handwritten requests.

use super::{alone, batch, request};
use redis_rest_testing::{
    any_pipeline, any_transaction, bearer, command, commands, pipeline_of, transaction_of,
    with_args, with_key, with_key_prefix,
};
use wiremock::Match;

#[test]
fn command_is_matched_by_name_in_every_form() {
    assert!(command("SET").matches(&alone(&["set", "k", "v"])));
    assert!(command("set").matches(&request("/SET/k?EX=1", "v")));
    assert!(command("SCRIPT LOAD").matches(&alone(&["script", "load", "return 1"])));
    for other in [
        alone(&["GET", "SET"]),
        alone(&["SETEX", "k", "1", "v"]),
        request("/get/set", ""),
        request("/", "SET"),
        request("/", ""),
    ] {
        assert!(!command("SET").matches(&other), "{:?}", other.body);
    }
    assert!(!command("SCRIPT LOAD").matches(&alone(&["SCRIPT", "EXISTS", "x"])));
    assert!(!command("SCRIPT LOAD").matches(&alone(&["SCRIPT"])));
    assert!(!command("SUBSCRIBE").matches(&request("/subscribe/news", "")));
}

#[test]
fn keys_are_those_of_the_command_and_no_other_arguments() {
    assert!(with_key("k").matches(&alone(&["GET", "k"])));
    assert!(with_key("b").matches(&alone(&["MGET", "a", "b"])));
    assert!(with_key("a b").matches(&request("/get/a%20b", "")));
    assert!(with_key("s:1").matches(&alone(&["EVALSHA", "abc", "1", "s:1", "x"])));
    assert!(with_key(&b"\xff"[..]).matches(&request("/get", b"\xff")));
    assert!(
        with_key("k").matches(&alone(&["NO.SUCH", "x", "k"])),
        "any argument of an unknown command"
    );
    assert!(with_key("a").with_key("b").matches(&alone(&["MGET", "a", "b"])));
    assert!(!with_key("a").with_key("c").matches(&alone(&["MGET", "a", "b"])));
    for other in [
        alone(&["GET", "k2"]),
        alone(&["SET", "x", "k"]),
        alone(&["EVALSHA", "abc", "1", "x", "k"]),
        alone(&["ECHO", "k"]),
    ] {
        assert!(!with_key("k").matches(&other));
        assert!(!with_key_prefix("k").with_key("k").matches(&other));
    }
    assert!(with_key_prefix("session:").matches(&alone(&["GET", "session:1"])));
    assert!(!with_key_prefix("session:").matches(&alone(&["GET", "my:session:1"])));
    assert!(!command("SET").with_key("k").matches(&alone(&["GET", "k"])));
}

#[test]
fn arguments_are_all_of_them_in_order() {
    let set = with_args(["k", "v"]);
    assert!(set.matches(&alone(&["SET", "k", "v"])));
    assert!(set.matches(&request("/set/k", "v")));
    assert!(command("PING").with_args(()).matches(&alone(&["PING"])));
    assert!(
        command("MSET")
            .with_args([("a", 1), ("b", 2)])
            .matches(&request("/", r#"["MSET","a",1,"b",2]"#))
    );
    for other in [
        alone(&["SET", "v", "k"]),
        alone(&["SET", "k", "v", "NX"]),
        alone(&["SET", "k"]),
        alone(&["SET", "k", "V"]),
    ] {
        assert!(!set.matches(&other));
    }
    assert!(!command("PING").with_args(()).matches(&alone(&["PING", "x"])));
}

#[test]
fn batches_are_matched_by_their_names_in_order() {
    let pipeline = batch("/pipeline", &[&["SET", "k", "v"], &["get", "k"]]);
    let transaction = batch("/multi-exec", &[&["SET", "k", "v"], &["get", "k"]]);
    assert!(pipeline_of(["set", "GET"]).matches(&pipeline) && any_pipeline().matches(&pipeline));
    assert!(
        transaction_of(["set", "GET"]).matches(&transaction)
            && any_transaction().matches(&transaction)
    );
    assert!(
        !pipeline_of(["SET", "GET"]).matches(&transaction) && !any_pipeline().matches(&transaction)
    );
    assert!(
        !transaction_of(["SET", "GET"]).matches(&pipeline) && !any_transaction().matches(&pipeline)
    );
    for names in [&["GET", "SET"][..], &["SET"], &["SET", "GET", "GET"], &[]] {
        assert!(!pipeline_of(names.iter().copied()).matches(&pipeline), "{names:?}");
        assert!(!transaction_of(names.iter().copied()).matches(&transaction), "{names:?}");
    }
    assert!(!any_pipeline().matches(&alone(&["SET", "k", "v"])));
    assert!(!any_pipeline().matches(&request("/pipeline", "[[")));
    assert_eq!(commands(&pipeline).len(), 2);
    assert!(commands(&request("/pipeline", "[[")).is_empty());
}

#[test]
fn commands_in_batches_match_on_request() {
    let sets = batch("/pipeline", &[&["SET", "a", "1"], &["SET", "b", "2"]]);
    let mixed = batch("/pipeline", &[&["SET", "a", "1"], &["GET", "b"]]);
    let transaction = batch("/multi-exec", &[&["SET", "a", "1"], &["SET", "b", "2"]]);
    for request in [&sets, &mixed, &transaction] {
        assert!(!command("SET").matches(request));
        assert!(command("SET").anywhere().matches(request));
        assert!(!command("DEL").anywhere().matches(request));
        // All conditions must hold for one command, not for two together.
        assert!(!command("SET").with_key("a").with_args(["b", "2"]).anywhere().matches(request));
    }
    assert!(command("SET").or_batched().matches(&sets));
    assert!(!command("SET").or_batched().matches(&mixed));
    assert!(!command("SET").or_batched().matches(&transaction));
    assert!(!command("SET").with_key("a").or_batched().matches(&sets));
    assert!(command("SET").or_batched().matches(&alone(&["SET", "a", "1"])));
    assert!(command("SET").anywhere().matches(&alone(&["SET", "a", "1"])));
}

#[test]
fn token_is_matched_as_a_whole() {
    let with = |header: &'static str| {
        let mut request = alone(&["PING"]);
        request.headers.insert("authorization", http::HeaderValue::from_static(header));
        request
    };
    assert!(bearer("s3cret").matches(&with("Bearer s3cret")));
    assert!(bearer("s3cret").matches(&with("bearer  s3cret")));
    for header in ["Bearer s3cret2", "Bearer s3cre", "Basic s3cret", "s3cret", "Bearer", ""] {
        assert!(!bearer("s3cret").matches(&with(header)), "{header}");
    }
    assert!(!bearer("s3cret").matches(&alone(&["PING"])));
    assert!(!format!("{:?}", bearer("s3cret")).contains("s3cret"));
}
