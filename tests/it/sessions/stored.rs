use super::on_redis::{HOUR, INDEX, Setup, records, setup};
use redis_rest::cmd::Ttl;
use redis_rest::session::{
    Check, Conflict, IndexLayout, RedisSessionStore, Session, SessionError, SessionStore as _,
    SessionStoreExt as _,
};
use redis_rest::{UnixTime, cmd};
use redis_rest_test_support::redis_test;
use std::time::Duration;

#[tokio::test]
async fn records_of_another_service_survive_retrieve_update_retrieve() {
    let setup = redis_test!(setup().await);
    setup.put_records().await;
    assert_eq!(setup.store.list_sessions("user-123").await.unwrap().sessions.len(), 2);
    for (id, line) in records() {
        let key = format!("session:{id}");
        let session = setup.store.retrieve_session(&id).await.unwrap();
        setup.store.update_session(&session).await.unwrap();
        assert_eq!(setup.text(&key).await.as_deref(), Some(line), "unchanged to the letter");
        let mut changed = setup.store.retrieve_session(&id).await.unwrap();
        changed.org_id = "org-789".into();
        setup.store.update_session(&changed).await.unwrap();
        assert_eq!(
            setup.text(&key).await,
            Some(line.replace("org-456", "org-789")),
            "nothing but the change"
        );
        assert_eq!(setup.store.retrieve_session(&id).await.unwrap(), changed);
    }
}

#[tokio::test]
async fn indexes_of_others_are_edited_as_text() {
    let setup = redis_test!(setup().await);
    let session = setup.session();
    for (before, stored, deleted) in [
        ("[]", r#"["ID"]"#, None),
        ("null", r#"["ID"]"#, None),
        ("", r#"["ID"]"#, None),
        (r#"["a"]"#, r#"["a","ID"]"#, Some(r#"["a"]"#)),
        ("[ \"a\" ,\n \"b\" ]\n", "[ \"a\" ,\n \"b\" ,\"ID\"]", Some("[ \"a\" ,\n \"b\" ]")),
        (r#"["q\"uote","ID","b"]"#, r#"["q\"uote","ID","b"]"#, Some(r#"["q\"uote","b"]"#)),
        (r#"["ID","ID","b"]"#, r#"["ID","ID","b"]"#, Some(r#"["b"]"#)),
    ] {
        let with_id = |text: &str| text.replace("ID", &session.id);
        setup.client.set(INDEX, with_id(before)).await.unwrap();
        setup.store.store_session(&session).await.unwrap();
        assert_eq!(setup.text(INDEX).await, Some(with_id(stored)), "{before:?}");
        setup.store.delete_session(&session.id).await.unwrap();
        let after = setup.text(INDEX).await.map(|text| text.replace([' ', '\n'], ""));
        assert_eq!(after, deleted.map(|text| text.replace([' ', '\n'], "")), "{before:?}");
        setup.client.del([format!("session_meta:{{session:{}}}", session.id)]).await.unwrap();
    }
    // A value that this crate cannot read as an index is left unchanged, except for the ids.
    let (one, two) = (setup.session(), setup.session());
    setup.store.batch_store_sessions(&[one.clone(), two.clone()]).await.ok().unwrap();
    let before = format!(r#"[1,"{}",["{}","c"],null,"{}"]"#, one.id, two.id, two.id);
    setup.client.set(INDEX, before).await.unwrap();
    setup.store.batch_delete_sessions(&[one.id, two.id]).await.ok().unwrap();
    assert_eq!(setup.text(INDEX).await.as_deref(), Some(r#"[1,["c"],null]"#));
}

/// Returns an index of 20 KB, more than is read to append an id.
fn long_index(ends: [&str; 2]) -> String {
    let ids: Vec<_> = (0..500).map(|number| format!("\"{number:036}\"")).collect();
    format!("{}{}{}", ends[0], ids.join(","), ends[1])
}

#[tokio::test]
async fn long_indexes_of_others_are_edited_as_text() {
    let setup = redis_test!(setup().await);
    for ends in [["[", "]"], ["[ ", "]"], [" [", "]"], ["[", " ]"], ["[", "]\n"]] {
        let one = setup.session();
        let two = setup.session();
        let three = setup.session();
        let before = long_index(ends);
        setup.client.set(INDEX, &before).await.unwrap();
        setup.store.store_session(&one).await.unwrap();
        // The first of these exists already.
        setup
            .store
            .batch_store_sessions(&[two.clone(), one.clone(), three.clone()])
            .await
            .ok()
            .unwrap();
        let listed = format!(
            "{},\"{}\",\"{}\",\"{}\"]",
            before.trim().trim_end_matches(']'),
            one.id,
            two.id,
            three.id
        );
        assert_eq!(
            setup.text(INDEX).await.as_deref().map(str::trim),
            Some(listed.trim()),
            "{ends:?}"
        );
        setup.store.batch_delete_sessions(&[one.id, two.id]).await.ok().unwrap();
        setup.store.delete_session(&three.id).await.unwrap();
        let after: Vec<String> = serde_json::from_str(&setup.text(INDEX).await.unwrap()).unwrap();
        assert_eq!(after, serde_json::from_str::<Vec<String>>(&before).unwrap(), "{ends:?}");
    }
    for before in [
        long_index(["{", "}"]),
        long_index(["", "]"]),
        long_index(["[", "}"]),
        long_index(["[", ""]),
    ] {
        setup.client.set(INDEX, &before).await.unwrap();
        let refused = setup.store.store_session(&setup.session()).await;
        assert!(matches!(refused, Err(SessionError::Corrupt { field: "index" })));
        assert_eq!(setup.text(INDEX).await, Some(before));
    }
}

#[tokio::test]
async fn an_expired_id_far_ahead_in_a_long_index_is_listed_twice_until_a_clean_up() {
    let setup = redis_test!(setup().await);
    let (again, there) = (setup.session(), setup.session());
    setup.store.store_session(&there).await.unwrap();
    setup
        .client
        .set(INDEX, long_index([&format!("[\"{}\",\"{}\",", again.id, there.id), "]"]))
        .await
        .unwrap();
    let listed = async |session: &Session| {
        setup.text(INDEX).await.unwrap_or_default().matches(&session.id).count()
    };
    setup.store.store_session(&again).await.unwrap();
    setup.store.store_session(&there).await.unwrap();
    assert_eq!(listed(&again).await, 2, "the array was not read");
    assert_eq!(listed(&there).await, 1, "a session that has not expired is looked for");
    assert_eq!(setup.store.list_sessions("user-123").await.unwrap().sessions.len(), 2);
    assert_eq!(setup.store.cleanup_expired_sessions("user-123").await.unwrap(), 500);
    assert_eq!((listed(&again).await, listed(&there).await), (1, 1));
    // Also if there is nothing else to remove, or only one id.
    for (gone, count) in [("", 0), ("\"gone\",", 1)] {
        setup
            .client
            .set(INDEX, format!("[\"{}\",{gone}\"{}\",\"{}\"]", again.id, there.id, again.id))
            .await
            .unwrap();
        assert_eq!(setup.store.cleanup_expired_sessions("user-123").await.unwrap(), count);
        assert_eq!((listed(&again).await, listed(&there).await), (1, 1), "{gone}");
    }
    assert_eq!(setup.store.delete_user_sessions("user-123").await.unwrap(), 2);
    assert_eq!(setup.text(INDEX).await, None);
}

#[tokio::test]
async fn invalid_index_is_left_unchanged() {
    let setup = redis_test!(setup().await);
    let session = setup.session();
    setup.client.set(INDEX, "{\"no\":\"array\"}").await.unwrap();
    assert!(matches!(
        setup.store.store_session(&session).await,
        Err(SessionError::Corrupt { field: "index" })
    ));
    assert!(matches!(
        setup.store.list_sessions("user-123").await,
        Err(SessionError::Corrupt { field: "index" })
    ));
    assert_eq!(setup.text(INDEX).await.as_deref(), Some("{\"no\":\"array\"}"));
    let other = setup.store.clone().index_layout(IndexLayout::SortedSet);
    assert!(matches!(other.store_session(&session).await, Err(SessionError::IndexLayout)));
    assert!(matches!(other.list_sessions("user-123").await, Err(SessionError::IndexLayout)));
    assert!(!setup.store.exists(&session.id).await.unwrap(), "record and index, or neither");
}

#[tokio::test]
async fn unreadable_record_is_reported_and_never_cleaned_up() {
    let setup = redis_test!(setup().await);
    setup.put_records().await;
    let [(broken, line), (foreign, _)] = records().try_into().unwrap();
    let key = format!("session:{broken}");
    let text = line.replace("\"system_prompt\":\"", "\"system_prompt\":7,\"x\":\"");
    setup.client.set(&key, &text).await.unwrap();
    let other =
        setup.text(&format!("session:{foreign}")).await.unwrap().replace("user-123", "somebody");
    setup.client.set(format!("session:{foreign}"), other).await.unwrap();
    assert!(matches!(
        setup.store.retrieve_session(&broken).await,
        Err(SessionError::Corrupt { field: "system_prompt" })
    ));
    let list = setup.store.list_sessions("user-123").await.unwrap();
    assert_eq!(
        (list.sessions.len(), list.corrupt),
        (0, 2),
        "one cannot be read, one is another user's"
    );
    assert_eq!(setup.store.cleanup_expired_sessions("user-123").await.unwrap(), 0);
    assert_eq!(setup.text(&key).await, Some(text));
    assert!(setup.store.delete_session(&broken).await.unwrap(), "deleted when asked for");
    assert_eq!(setup.text(&key).await, None);
}

#[tokio::test]
async fn the_index_lives_as_long_as_its_longest_session() {
    let setup = redis_test!(setup().await);
    let left = async || match setup.client.ttl(INDEX).await.unwrap() {
        Ttl::Expires(left) => left,
        other => panic!("{other:?}"),
    };
    let short = RedisSessionStore::new(setup.client.clone(), HOUR / 2);
    short.store_session(&setup.session()).await.unwrap();
    assert!(left().await <= HOUR / 2);
    let long = setup.session();
    setup.store.store_session(&long).await.unwrap();
    assert!(left().await > HOUR / 2, "extended");
    short.store_session(&setup.session()).await.unwrap();
    assert!(left().await > HOUR / 2, "never shortened");
    setup.store.set_ttl(&long.id, 2 * HOUR).await.unwrap();
    assert!(left().await > HOUR);
    setup.client.persist(INDEX).await.unwrap();
    setup.store.store_session(&setup.session()).await.unwrap();
    assert_eq!(
        setup.client.ttl(INDEX).await.unwrap(),
        Ttl::Persistent,
        "one without a deadline is left so"
    );
}

#[tokio::test]
async fn no_script_rewrites_session_json() {
    let setup = redis_test!(setup().await);
    let line = r#"{"id":"odd","user_id":"user-123","created_at":"2025-01-15T10:30:00Z","last_active_at":"2025-01-15T10:30:00Z","n":9007199254740993,"e":[],"o":{},"z":null,"f":1.0}"#;
    setup.client.set("session:odd", line).ex(HOUR).await.unwrap();
    setup.client.set(INDEX, "[\"odd\"]").await.unwrap();
    let session = setup.store.retrieve_session("odd").await.unwrap();
    setup.store.update_session(&session).await.unwrap();
    let stored = setup.store.retrieve_stored("odd").await.unwrap();
    setup.store.compare_and_update(&session, &stored.version).await.unwrap();
    setup.store.set_ttl("odd", HOUR / 2).await.unwrap();
    setup.store.touch("odd").await.unwrap();
    setup.store.store_session(&session).await.unwrap();
    setup.store.cleanup_expired_sessions("user-123").await.unwrap();
    assert_eq!(setup.text("session:odd").await.as_deref(), Some(line));
}

#[tokio::test]
async fn deleted_id_is_reserved_for_the_sessions_lifetime() {
    let setup = redis_test!(setup().await);
    let session = setup.session();
    setup.store.store_session(&session).await.unwrap();
    setup.store.set_ttl(&session.id, 2 * HOUR).await.unwrap();
    setup.store.set_ttl(&session.id, HOUR / 2).await.unwrap();
    setup.store.delete_session(&session.id).await.unwrap();
    let meta = format!("session_meta:{{session:{}}}", session.id);
    let left = async || match setup.client.ttl(&meta).await.unwrap() {
        Ttl::Expires(left) => left,
        other => panic!("{other:?}"),
    };
    assert!(left().await > 2 * HOUR, "never shortened");
    for stored in
        [setup.store.store_session(&session).await, setup.store.create_session(&session).await]
    {
        assert!(matches!(stored, Err(SessionError::Conflict(Conflict::Deleted))));
    }
    assert!(!setup.store.delete_session("unknown").await.unwrap());
    let unknown = setup.client.ttl("session_meta:{session:unknown}").await.unwrap();
    assert!(matches!(unknown, Ttl::Expires(left) if left <= Duration::from_secs(60)));
    setup.client.del([meta]).await.unwrap();
    setup.store.store_session(&session).await.unwrap();
}

#[tokio::test]
async fn many_writers_of_one_session_lose_nothing() {
    let setup = redis_test!(setup().await);
    let session = setup.session();
    setup.store.store_session(&session).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, id) =
                (RedisSessionStore::new(setup.client.clone(), HOUR), session.id.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while done < 5 {
                    let change = |session: &mut Session| {
                        let count =
                            session.metadata.get::<u32>("count").unwrap().unwrap_or_default();
                        session.metadata.insert("count", count + 1).unwrap();
                    };
                    match store.modify(&id, change).await {
                        Ok(_) => done += 1,
                        // Concurrent writes won: the update did not happen, so it is retried.
                        Err(SessionError::Conflict(Conflict::Changed)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let counted = setup.store.retrieve_session(&session.id).await.unwrap();
    assert_eq!(counted.metadata.get::<u32>("count").unwrap(), Some(40));
    assert!(matches!(setup.store.modify("none", |_| {}).await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn sessions_end_by_the_absolute_lifetime() {
    let setup = redis_test!(setup().await);
    let store = setup.store.clone().max_lifetime(2 * HOUR);
    let mut session = setup.session();
    session.created_at -= HOUR + HOUR / 2;
    store.store_session(&session).await.unwrap();
    let left = async || match setup.client.ttl(format!("session:{}", session.id)).await.unwrap() {
        Ttl::Expires(left) => left,
        other => panic!("{other:?}"),
    };
    assert!(left().await <= HOUR / 2);
    store.touch(&session.id).await.unwrap();
    store.set_ttl(&session.id, 5 * HOUR).await.unwrap();
    assert!(left().await <= HOUR / 2);
    let mut over = setup.session();
    over.created_at -= 3 * HOUR;
    store.store_session(&over).await.unwrap();
    let key = format!("session:{}", over.id);
    while setup.client.exists([&key]).await.unwrap() > 0 {
        assert!(matches!(setup.client.ttl(&key).await.unwrap(), Ttl::Missing | Ttl::Expires(_)));
    }
}

#[tokio::test]
async fn an_index_moves_between_its_layouts() {
    for two_steps in [false, true] {
        let setup = redis_test!(setup().await);
        let store = setup.store.clone();
        moves(&setup, if two_steps { store.cluster() } else { store }).await;
    }
}

async fn moves(setup: &Setup, json: RedisSessionStore) {
    let sorted = json.clone().index_layout(IndexLayout::SortedSet);
    let sessions: Vec<_> = (0..5).map(|_| setup.session()).collect();
    json.batch_store_sessions(&sessions).await.ok().unwrap();
    json.set_ttl(&sessions[4].id, 2 * HOUR).await.unwrap();
    setup.client.del([format!("session:{}", sessions[0].id)]).await.unwrap();
    assert!(!json.migrate_index("user-123").await.unwrap(), "it is a JSON array already");
    assert!(sorted.migrate_index("user-123").await.unwrap());
    assert!(!sorted.migrate_index("user-123").await.unwrap());
    let scores: Vec<(String, f64)> = setup.client.zrange(INDEX).with_scores().await.unwrap();
    assert_eq!(scores.len(), 4, "the one that is gone is left behind");
    assert_eq!(scores[3].0, sessions[4].id, "by deadline");
    let now = UnixTime::from(setup.client.time().await.unwrap());
    let wanted = now.as_millis() as f64 + 2.0 * HOUR.as_millis() as f64;
    assert!((scores[3].1 - wanted).abs() < 60_000.0);
    assert!(matches!(setup.client.ttl(INDEX).await.unwrap(), Ttl::Expires(left) if left > HOUR));
    assert_eq!(sorted.list_sessions("user-123").await.unwrap().sessions.len(), 4);
    assert!(json.migrate_index("user-123").await.unwrap());
    assert_eq!(json.list_sessions("user-123").await.unwrap().sessions.len(), 4);
    assert!(matches!(setup.client.ttl(INDEX).await.unwrap(), Ttl::Expires(left) if left > HOUR));
    assert!(!sorted.migrate_index("nobody").await.unwrap());
}

#[tokio::test]
async fn a_read_that_fails_during_a_list_drops_nothing() {
    let setup = redis_test!(setup().await);
    setup.put_records().await;
    let before = setup.text(INDEX).await;
    // A key of another type makes the read of that record fail.
    let (id, _) = &records()[0];
    setup.client.del([format!("session:{id}")]).await.unwrap();
    setup.client.run::<i64>(cmd("LPUSH").arg(format!("session:{id}")).arg("x")).await.unwrap();
    let list = setup.store.list_sessions("user-123").await;
    assert!(list.is_err() || list.is_ok_and(|list| list.sessions.len() == 1));
    assert_eq!(setup.text(INDEX).await, before);
}

#[tokio::test]
async fn clones_share_the_default_time_to_live_and_the_end() {
    let setup = redis_test!(setup().await);
    let (store, session) = (setup.store.clone(), setup.session());
    assert_eq!(store.default_ttl(), HOUR);
    setup.store.set_default_ttl(HOUR / 2);
    assert_eq!(store.default_ttl(), HOUR / 2);
    store.store_session(&session).await.unwrap();
    let left = setup.client.ttl(format!("session:{}", session.id)).await.unwrap();
    assert!(matches!(left, Ttl::Expires(left) if left <= HOUR / 2));
    store.close();
    assert!(matches!(setup.store.store_session(&session).await, Err(SessionError::Closed)));
    assert!(matches!(setup.store.list_sessions("user-123").await, Err(SessionError::Closed)));
    assert!(matches!(setup.store.health(Check::Ping).await, Err(SessionError::Closed)));
    let outcome = setup.store.batch_store_sessions(&[session]).await;
    assert!(matches!(outcome.ok(), Err(SessionError::Closed)));
}
