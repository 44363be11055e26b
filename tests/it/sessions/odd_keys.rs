use super::on_redis::{HOUR, INDEX, records, setup};
use redis_rest::cmd::Ttl;
use redis_rest::session::{
    ChangeId, Conflict, IndexLayout, Marks, Mode, Session, SessionError, SessionStore as _,
    SessionStoreExt as _, TtlRule, Write, Written,
};
use redis_rest_test_support::redis_test;
use std::time::Duration;

/// Returns a create by a caller that knows no log-outs.
fn create<'a>(session: &'a Session, marks: &'a Marks) -> Write<'a> {
    let mode = Mode::Create { marks, reuse: false };
    Write { id: ChangeId::new(), session, mode, content: true, ttl: TtlRule::Keep }
}

#[tokio::test]
async fn record_that_lua_cannot_decode_is_never_overwritten() {
    let setup = redis_test!(setup().await);
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    for odd in [r#""\ud800""#, deep.as_str()] {
        let mut session = setup.session();
        let text = session.to_json().unwrap().replace("\"metadata\":{}", &format!("\"odd\":{odd}"));
        let key = format!("session:{}", session.id);
        setup.client.set(&key, &text).ex(HOUR).await.unwrap();
        session.user_id = "somebody else".into();
        let stored = setup.store.store_session(&session).await;
        assert!(matches!(stored, Err(SessionError::Conflict(Conflict::UserChanged))), "{stored:?}");
        let mut read = setup.store.retrieve_session(&session.id).await.unwrap();
        read.system_prompt = "changed".into();
        setup.store.update_session(&read).await.unwrap();
        let changed = text.replace("\"system_prompt\":\"\"", "\"system_prompt\":\"changed\"");
        assert_eq!(setup.text(&key).await, Some(changed), "nothing but the change");
        assert_eq!(
            setup.store.delete_user_sessions("user-123").await.unwrap(),
            1,
            "listed by its update"
        );
    }
}

#[tokio::test]
async fn unreadable_record_is_never_overwritten_and_can_be_deleted() {
    let setup = redis_test!(setup().await);
    let (broken, fine) = (setup.session(), setup.session());
    setup.store.store_session(&fine).await.unwrap();
    let key = format!("session:{}", broken.id);
    setup.client.set(&key, "no record").ex(HOUR).await.unwrap();
    setup.client.set(INDEX, serde_json::to_string(&[&broken.id, &fine.id]).unwrap()).await.unwrap();
    for stored in
        [setup.store.store_session(&broken).await, setup.store.update_session(&broken).await]
    {
        assert!(matches!(stored, Err(SessionError::Corrupt { field: "record" })), "{stored:?}");
    }
    assert_eq!(setup.text(&key).await.as_deref(), Some("no record"));
    assert_eq!(setup.store.delete_user_sessions("user-123").await.unwrap(), 2);
    assert_eq!((setup.text(&key).await, setup.text(INDEX).await), (None, None));
}

/// Another service may use ids that this crate rejects.
#[tokio::test]
async fn a_log_out_ends_sessions_of_any_id() {
    let setup = redis_test!(setup().await);
    for two_steps in [false, true] {
        let store = setup.store.clone();
        let store = if two_steps { store.cluster() } else { store };
        let long = "x".repeat(32 << 10);
        let ids = ["a/b+c=", "a b", "{ü}", "quo\"te", "back\\slash", "nul\0", &long];
        for id in ids {
            let record = Session::new("user-123").id(id).org_id("org").to_json().unwrap();
            setup.client.set(format!("session:{id}"), record).ex(HOUR).await.unwrap();
        }
        setup.client.set(INDEX, serde_json::to_string(&ids).unwrap()).await.unwrap();
        assert_eq!(store.list_sessions("user-123").await.unwrap().sessions.len(), ids.len());
        assert_eq!(store.delete_user_sessions("user-123").await.unwrap(), ids.len());
        assert!(store.list("user-123").await.unwrap().sessions.is_empty());
        for id in ids {
            assert_eq!(setup.text(&format!("session:{id}")).await, None, "{id:?}");
            assert!(matches!(store.delete_session(id).await, Err(SessionError::InvalidId)));
        }
        setup.client.del([INDEX]).await.unwrap();
    }
}

/// A foreign value at the meta key.
#[tokio::test]
async fn unreadable_meta_key_counts_as_missing_and_is_replaced() {
    let setup = redis_test!(setup().await);
    for junk in ["", "junk", "a b c d e f", "      ", "abcdefgh.1 x y z ü !", "abcdefgh.1     "] {
        let session = setup.session();
        let meta = format!("session_meta:{{session:{}}}", session.id);
        setup.store.store_session(&session).await.unwrap();
        setup.client.set(&meta, junk).await.unwrap();
        let read = setup.store.retrieve_stored(&session.id).await.unwrap();
        setup.store.compare_and_update(&session, &read.version).await.unwrap();
        let version = setup.store.retrieve_stored(&session.id).await.unwrap().version;
        setup.store.compare_and_update(&session, &version).await.unwrap();
        assert!(
            matches!(setup.client.ttl(&meta).await.unwrap(), Ttl::Expires(left) if left > HOUR)
        );
        setup.client.set(&meta, junk).await.unwrap();
        assert!(setup.store.delete_session(&session.id).await.unwrap(), "{junk:?}");
        setup.client.set(&meta, junk).await.unwrap();
        let created = setup.store.create_session(&session).await;
        assert!(matches!(created, Err(SessionError::Conflict(Conflict::Deleted))), "{junk:?}");
    }
}

#[tokio::test]
async fn keys_of_other_types_fail_their_own_session_only() {
    let setup = redis_test!(setup().await);
    for two_steps in [false, true] {
        let store = setup.store.clone();
        let store = if two_steps { store.cluster() } else { store };
        let fine = setup.session();
        let hash = setup.session();
        let meta = setup.session();
        let all = [&fine, &hash, &meta];
        let marks = Marks::default();
        setup.client.hset(format!("session:{}", hash.id), [("f", "v")]).await.unwrap();
        let writes = all.map(|session| create(session, &marks));
        setup
            .client
            .hset(format!("session_meta:{{session:{}}}", meta.id), [("f", "v")])
            .await
            .unwrap();
        let results = store.write(&writes).await;
        assert!(
            matches!(
                results.as_slice(),
                [
                    Ok(Written::Written { .. }),
                    Err(SessionError::Corrupt { field: "record" }),
                    Ok(Written::Gone)
                ]
            ),
            "{results:?}"
        );
        let ids = all.map(|session| session.id.as_str());
        let read = store.get(&ids).await;
        assert!(
            matches!(
                read.as_slice(),
                [
                    Ok(_),
                    Err(SessionError::Corrupt { field: "record" }),
                    Err(SessionError::NotFound)
                ]
            ),
            "{read:?}"
        );
        let names = ids.map(String::from);
        let ended = store.batch_delete_sessions(&names).await;
        let failed: Vec<_> = ended.failed().collect();
        assert!(
            matches!(failed.as_slice(), [(id, SessionError::Corrupt { .. })] if *id == hash.id)
        );
        assert_eq!(
            setup.client.hlen(format!("session:{}", hash.id)).await.unwrap(),
            1,
            "left as it is"
        );
        assert!(matches!(
            store.create_session(&meta).await,
            Err(SessionError::Conflict(Conflict::Deleted))
        ));
    }
}

/// Another service writes the record and not the meta key.
#[tokio::test]
async fn external_writes_are_new_versions() {
    let setup = redis_test!(setup().await);
    for (id, line) in records() {
        let key = format!("session:{id}");
        setup.client.set(&key, line).ex(HOUR).await.unwrap();
        let first = setup.store.retrieve_stored(&id).await.unwrap();
        // Writing the identical text is not detectable.
        setup.client.set(&key, line).ex(HOUR).await.unwrap();
        assert!(setup.store.retrieve_stored(&id).await.unwrap().version == first.version);
        let mut changed = first.session.clone();
        changed.org_id = "ours".into();
        let ours = setup.store.compare_and_update(&changed, &first.version).await.unwrap();
        assert!(setup.store.retrieve_stored(&id).await.unwrap().version == ours);
        // The earlier text again: nevertheless a new version.
        setup.client.set(&key, line).ex(HOUR).await.unwrap();
        let foreign = setup.store.retrieve_stored(&id).await.unwrap();
        assert!(foreign.version != first.version && foreign.version != ours);
        assert!(!foreign.version.same_content(&ours));
        for stale in [&first.version, &ours] {
            let refused = setup.store.compare_and_update(&changed, stale).await;
            assert!(matches!(refused, Err(SessionError::Conflict(Conflict::Changed))));
        }
        assert_eq!(setup.text(&key).await.as_deref(), Some(line));
        let marks = Marks::default();
        let mode = Mode::Replace(&foreign.version);
        let a_use = Write { content: false, mode, ..create(&foreign.session, &marks) };
        let Written::Written { version, .. } = setup.store.write(&[a_use]).await.remove(0).unwrap()
        else {
            panic!("the version that is there was replaced")
        };
        assert!(version.same_content(&foreign.version) && version != foreign.version);
        assert_eq!(setup.text(&key).await.as_deref(), Some(line), "a use of the same text");
    }
}

#[tokio::test]
async fn an_index_entry_that_was_lost_is_restored_by_every_write() {
    let setup = redis_test!(setup().await);
    for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
        for two_steps in [false, true] {
            let store = setup.store.clone().index_layout(layout);
            let store = if two_steps { store.cluster() } else { store };
            let (mine, other) = (setup.session(), setup.session());
            let ids = || async {
                let list = store.list_sessions("user-123").await.unwrap();
                list.sessions.into_iter().map(|session| session.id).collect::<Vec<_>>()
            };
            store.store_session(&mine).await.unwrap();
            for write in 0..4 {
                setup.client.del([INDEX]).await.unwrap();
                store.store_session(&other).await.unwrap();
                assert_eq!(ids().await, [other.id.as_str()]);
                match write {
                    0 => store.update_session(&mine).await.unwrap(),
                    1 => store.set_ttl(&mine.id, HOUR / 2).await.unwrap(),
                    2 => drop(store.touch(&mine.id).await.unwrap()),
                    _ => store.store_session(&mine).await.unwrap(),
                }
                assert!(ids().await.contains(&mine.id), "{layout:?}, {two_steps}, write {write}");
                let left = setup.client.ttl(INDEX).await.unwrap();
                assert!(matches!(left, Ttl::Expires(left) if left > HOUR - Duration::from_secs(9)));
            }
            setup.client.del([INDEX]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_session_without_an_end_keeps_none_and_its_tombstone_has_one() {
    let setup = redis_test!(setup().await);
    let session = setup.session();
    let (key, meta) =
        (format!("session:{}", session.id), format!("session_meta:{{session:{}}}", session.id));
    setup.client.set(&key, session.to_json().unwrap()).await.unwrap();
    assert_eq!(setup.store.retrieve_stored(&session.id).await.unwrap().ttl, None);
    setup.store.update_session(&session).await.unwrap();
    setup.store.touch(&session.id).await.unwrap();
    for key in [&key, &meta] {
        assert_eq!(setup.client.ttl(key).await.unwrap(), Ttl::Persistent);
    }
    assert!(setup.store.delete_session(&session.id).await.unwrap());
    let left = setup.client.ttl(&meta).await.unwrap();
    let wanted = HOUR + Duration::from_secs(60);
    assert!(matches!(left, Ttl::Expires(left) if left <= wanted && left > HOUR), "{left:?}");
}

/// More ids than one request can hold; an interrupted migration is restarted.
#[tokio::test]
async fn a_large_index_is_migrated_in_steps() {
    let setup = redis_test!(setup().await);
    for (two_steps, count) in [(false, 150_000), (true, 20_000)] {
        let live: Vec<_> = (0..3).map(|_| setup.session()).collect();
        setup.store.batch_store_sessions(&live).await.ok().unwrap();
        let mut ids: Vec<String> = (0..count).map(|n| format!("{n:036}")).collect();
        ids.splice(count / 2..count / 2, live.iter().map(|session| session.id.clone()));
        let text = serde_json::to_string(&ids).unwrap();
        setup.client.set(INDEX, &text).ex(2 * HOUR).await.unwrap();
        let sorted = setup.store.clone().index_layout(IndexLayout::SortedSet);
        let sorted = if two_steps { sorted.cluster() } else { sorted };
        let half =
            tokio::time::timeout(Duration::from_millis(50), sorted.migrate_index("user-123"));
        if half.await.is_err() {
            assert_eq!(setup.text(INDEX).await, Some(text), "the index until the last step");
        }
        sorted.migrate_index("user-123").await.unwrap();
        let list = sorted.list("user-123").await.unwrap();
        assert_eq!((list.ids.len(), list.sessions.len()), (3, 3), "the others are left behind");
        assert!(
            matches!(setup.client.ttl(INDEX).await.unwrap(), Ttl::Expires(left) if left > HOUR)
        );
        setup.client.del([INDEX]).await.unwrap();
    }
}
