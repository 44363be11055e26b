//! Times to live and instants, compared with Redis itself.

use redis_rest::cmd::{ExpireTime, Ttl};
use redis_rest::{Client, Command, ErrorKind, UnixTime, cmd};
use redis_rest_server::MemoryBackend;
use std::time::{Duration, SystemTime};

const ZERO: Duration = Duration::ZERO;

fn wire(command: impl Into<Command>) -> String {
    super::cases::wire(&command.into())
}

#[tokio::test]
async fn zero_time_to_live_is_refused_if_redis_refuses_it() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("k", "v").await.unwrap();
    let refused = [
        client.set("k", "new").ex(ZERO).await.unwrap_err(),
        client.set("k", "new").nx().ex(ZERO).await.unwrap_err(),
        client.setex("k", ZERO, "new").await.unwrap_err(),
        client.getex::<String>("k").ex(ZERO).await.unwrap_err(),
        client.msetex(("k", "new")).ex(ZERO).await.unwrap_err(),
        client.hsetex("h", ("f", "v")).ex(ZERO).await.unwrap_err(),
        client.hgetex::<String>("h", "f").ex(ZERO).await.unwrap_err(),
        client.restore("r", Some(ZERO), "x").await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        assert!(error.to_string().contains("a time to live of zero"), "{error}");
    }
    assert_eq!(client.get::<String>("k").await.unwrap(), "v");
}

#[tokio::test]
async fn zero_time_to_live_deletes_if_redis_deletes() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("k", "v").await.unwrap();
    assert!(client.expire("k", ZERO).await.unwrap());
    assert_eq!(client.ttl("k").await.unwrap(), Ttl::Missing);
    assert_eq!(wire(cmd::expire("k", ZERO)), "PEXPIRE k 0");
    assert_eq!(wire(cmd::hexpire("h", ZERO, "f")), "HPEXPIRE h 0 FIELDS 1 f");
    assert_eq!(wire(cmd::expire("k", Duration::from_nanos(1))), "PEXPIRE k 1");
    assert_eq!(wire(cmd::set("k", "v").ex(Duration::from_nanos(1))), "SET k v PX 1");
    assert_eq!(wire(cmd::restore("k", None, "x")), "RESTORE k 0 x");
    // 1000 years.
    assert_eq!(wire(cmd::expire("k", Duration::MAX)), "PEXPIRE k 31622400000000");
}

#[tokio::test]
async fn instants_are_types_of_any_origin() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("k", "v").await.unwrap();
    let at = UnixTime::from_secs(4_102_444_800);
    assert!(client.expire_at("k", at).await.unwrap());
    assert_eq!(client.expire_time("k").await.unwrap(), ExpireTime::At(at));
    let date = chrono::DateTime::<chrono::Utc>::try_from(at).unwrap();
    let system = SystemTime::try_from(at).unwrap();
    let calls = [
        wire(cmd::expire_at("k", at)),
        wire(cmd::expire_at("k", date)),
        wire(cmd::expire_at("k", system)),
    ];
    assert_eq!(calls, ["PEXPIREAT k 4102444800000"; 3].map(str::to_owned));
    assert_eq!(wire(cmd::getex::<String>("k").ex_at(system)), "GETEX k PXAT 4102444800000");
    // Mistaking a timestamp in seconds for milliseconds would delete the key at once, and return
    // true.
    assert!(client.expire_at("k", UnixTime::from_secs(1_700_000_000)).await.unwrap());
    assert_eq!(client.ttl("k").await.unwrap(), Ttl::Missing);
}

#[tokio::test]
async fn conditions_are_chosen_at_run_time() {
    let client = Client::from_backend(MemoryBackend::new());
    let set = |value: &'static str, only_new: bool, ttl: Option<Duration>| {
        let mut call = client.set("k", value);
        if let Some(ttl) = ttl {
            call = call.ex(ttl);
        }
        call.nx_if(only_new)
    };
    assert!(set("a", false, None).await.unwrap());
    assert!(!set("b", true, None).await.unwrap());
    assert!(set("c", false, Some(Duration::from_secs(60))).await.unwrap());
    assert!(client.set("k", "d").xx_if(true).await.unwrap());
    assert!(!client.set("none", "d").xx_if(true).await.unwrap());
    assert_eq!(client.get::<String>("k").await.unwrap(), "d");
    assert_eq!(wire(cmd::json_set("k", "$", 1).nx_if(true)), "JSON.SET k $ 1 NX");
    assert_eq!(wire(cmd::json_set("k", "$", 1).xx_if(false)), "JSON.SET k $ 1");
}

/// The call's own function decodes the reply, in a pipeline too: nil means that the condition does
/// not hold.
#[tokio::test]
async fn a_condition_that_does_not_hold_is_false_in_a_pipeline() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("k", "v").await.unwrap();
    let mut pipe = client.pipeline();
    let lost = pipe.add(cmd::set("k", "w").nx());
    let won = pipe.add(cmd::set("k", "w").xx());
    let mut replies = pipe.send().await.unwrap();
    assert_eq!((replies.take(lost).unwrap(), replies.take(won).unwrap()), (false, true));
}

#[tokio::test]
async fn a_missing_bool_is_not_false() {
    let client = Client::from_backend(MemoryBackend::new());
    client.set("flag", true).await.unwrap();
    assert!(client.get::<bool>("flag").await.unwrap());
    assert_eq!(client.get::<bool>("none").await.unwrap_err().kind(), ErrorKind::Conversion);
    assert_eq!(client.get::<Option<bool>>("none").await.unwrap(), None);
}
