use super::{HOUR, Setup, record};
use redis_rest::session::{Session, SessionError, SessionStoreExt as _};
use redis_rest_tower::{EXPIRES_AT, LOG_OUTS};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tower_sessions::SessionStore as _;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::Error;

async fn created_session_is_loaded_and_deleted(setup: Setup) {
    let store = &setup.store;
    let mut new = record(
        &[
            ("user_id", json!("ada")),
            ("text", json!("ä \" \\ \u{0}")),
            ("", json!(null)),
            ("number", json!(-1.5)),
            ("large", json!(u64::MAX)),
            ("nested", json!({"list": [1, {"a": []}], "no": false})),
        ],
        HOUR,
    );
    let id = new.id;
    store.create(&mut new).await.unwrap();
    assert_eq!(new.id, id, "it was free");
    assert_eq!(store.load(&id).await.unwrap(), Some(new.clone()));
    let stored = setup.behind.retrieve_session(&id.to_string()).await.unwrap();
    assert_eq!((stored.user_id.as_str(), stored.metadata.get_raw("number")), ("ada", Some("-1.5")));
    store.delete(&id).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap(), None);
    assert!(!setup.behind.exists(&id.to_string()).await.unwrap());
    store.delete(&id).await.unwrap();
    assert_eq!(store.load(&Id::default()).await.unwrap(), None);
}

async fn creating_never_overwrites(setup: Setup) {
    let store = &setup.store;
    // Anonymous, of the same user and of another one.
    for (one, other) in [(None, None), (Some("ada"), Some("ada")), (Some("ada"), Some("bob"))] {
        let mut first = record(&[("user_id", json!(one)), ("n", json!(1))], HOUR);
        store.create(&mut first).await.unwrap();
        let mut second =
            Record { id: first.id, ..record(&[("user_id", json!(other)), ("n", json!(2))], HOUR) };
        store.create(&mut second).await.unwrap();
        assert_ne!(first.id, second.id);
        assert_eq!(store.load(&first.id).await.unwrap().unwrap(), first);
        assert_eq!(store.load(&second.id).await.unwrap().unwrap(), second);
    }
}

async fn one_of_two_creates_of_an_id_wins(setup: Setup) {
    for user in [None, Some("ada")] {
        let id = Id::default();
        let mut creates = JoinSet::new();
        for n in 0..8 {
            let store = setup.store.clone();
            let mut new =
                Record { id, ..record(&[("user_id", json!(user)), ("n", json!(n))], HOUR) };
            creates.spawn(async move {
                store.create(&mut new).await.unwrap();
                new
            });
        }
        let created = creates.join_all().await;
        assert_eq!(
            created.iter().filter(|new| new.id == id).count(),
            1,
            "one has the id, the others have others"
        );
        assert_eq!(created.iter().map(|new| new.id).collect::<HashSet<_>>().len(), 8);
        for new in created {
            assert_eq!(setup.store.load(&new.id).await.unwrap(), Some(new));
        }
    }
}

async fn the_id_of_a_deleted_session_is_not_used_again(setup: Setup) {
    let mut first = record(&[], HOUR);
    setup.store.create(&mut first).await.unwrap();
    setup.store.delete(&first.id).await.unwrap();
    let mut second = Record { id: first.id, ..record(&[], HOUR) };
    setup.store.create(&mut second).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(setup.store.load(&first.id).await.unwrap(), None);
    assert_eq!(setup.store.load(&second.id).await.unwrap(), Some(second));
}

async fn saving_replaces_the_data(setup: Setup) {
    let store = &setup.store;
    let mut session = record(
        &[
            ("user_id", json!("ada")),
            ("stays", json!(1)),
            ("changes", json!(1)),
            ("goes", json!(1)),
        ],
        HOUR,
    );
    store.create(&mut session).await.unwrap();
    let created = setup.behind.retrieve_session(&session.id.to_string()).await.unwrap();
    session.data.remove("goes");
    session.data.insert("changes".into(), json!([2]));
    session.data.insert("comes".into(), json!(3));
    store.save(&session).await.unwrap();
    assert_eq!(store.load(&session.id).await.unwrap(), Some(session.clone()));
    let saved = setup.behind.retrieve_session(&session.id.to_string()).await.unwrap();
    assert_eq!(saved.created_at, created.created_at);
    assert!(saved.last_active_at > created.last_active_at, "a save is a use");
    assert_eq!(saved.metadata.len(), 5);
}

async fn changes_of_others_to_the_session_are_kept(setup: Setup) {
    let store = &setup.store;
    let mut session = record(&[("user_id", json!("ada"))], HOUR);
    store.create(&mut session).await.unwrap();
    let mut theirs = setup.behind.retrieve_session(&session.id.to_string()).await.unwrap();
    theirs.org_id = "org".into();
    let large =
        serde_json::value::RawValue::from_string("123456789012345678901234567890".into()).unwrap();
    theirs.metadata.insert("large", large).unwrap();
    setup.behind.update_session(&theirs).await.unwrap();
    let mut loaded = store.load(&session.id).await.unwrap().unwrap();
    loaded.data.insert("n".into(), json!(1));
    store.save(&loaded).await.unwrap();
    let saved = setup.behind.retrieve_session(&session.id.to_string()).await.unwrap();
    assert_eq!((saved.org_id.as_str(), saved.metadata.get_raw("n")), ("org", Some("1")));
    assert_eq!(
        saved.metadata.get_raw("large"),
        Some("123456789012345678901234567890"),
        "a value that nobody changed is not rounded"
    );
}

async fn saving_a_deleted_session_writes_nothing(setup: Setup) {
    let store = &setup.store;
    let never = record(&[("user_id", json!("ada"))], HOUR);
    store.save(&never).await.unwrap();
    let mut deleted = record(&[("user_id", json!("ada"))], HOUR);
    store.create(&mut deleted).await.unwrap();
    store.delete(&deleted.id).await.unwrap();
    store.save(&deleted).await.unwrap();
    let mut elsewhere = record(&[("user_id", json!("ada"))], HOUR);
    store.create(&mut elsewhere).await.unwrap();
    setup.behind.delete_session(&elsewhere.id.to_string()).await.unwrap();
    store.save(&elsewhere).await.unwrap();
    for gone in [never, deleted, elsewhere] {
        assert_eq!(store.load(&gone.id).await.unwrap(), None);
        assert!(!setup.behind.exists(&gone.id.to_string()).await.unwrap());
    }
    assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
}

async fn save_racing_a_delete_restores_nothing(setup: Setup) {
    for round in 0..20 {
        let mut session = record(&[("user_id", json!("ada"))], HOUR);
        setup.store.create(&mut session).await.unwrap();
        let mut race = JoinSet::new();
        for n in 0..3 {
            let (store, mut session) = (setup.store.clone(), session.clone());
            race.spawn(async move {
                session.data.insert("n".into(), json!(n));
                if n == round % 3 {
                    store.delete(&session.id).await
                } else {
                    store.save(&session).await
                }
            });
        }
        race.join_all().await.into_iter().for_each(Result::unwrap);
        assert_eq!(setup.store.load(&session.id).await.unwrap(), None);
        assert!(!setup.behind.exists(&session.id.to_string()).await.unwrap());
    }
    assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
}

async fn the_expiry_date_is_the_time_to_live(setup: Setup) {
    let store = &setup.store;
    let mut session = record(&[("user_id", json!("ada"))], HOUR);
    // In memory a session is removed once it was seen to end, so each step uses a new one.
    for (first, then) in
        [(HOUR, None), (HOUR, Some(HOUR * 48)), (HOUR * 48, Some(HOUR)), (HOUR * 24 * 365, None)]
    {
        session.id = Id::default();
        session.expiry_date = OffsetDateTime::now_utc() + first;
        store.create(&mut session).await.unwrap();
        if let Some(then) = then {
            session.expiry_date = OffsetDateTime::now_utc() + then;
            store.save(&session).await.unwrap();
        }
        let stored = setup.behind.retrieve_stored(&session.id.to_string()).await.unwrap();
        assert!(stored.version.has_explicit_ttl(), "no use moves it");
        assert_eq!(store.load(&session.id).await.unwrap().unwrap(), session);
        setup.ends_in(&session.id, then.unwrap_or(first)).await;
    }
}

async fn expired_sessions_are_not_found(setup: Setup) {
    let store = &setup.store;
    let past = OffsetDateTime::now_utc() - Duration::from_secs(1);
    let mut new = Record { expiry_date: past, ..record(&[], HOUR) };
    store.create(&mut new).await.unwrap();
    assert_eq!(store.load(&new.id).await.unwrap(), None);

    let mut saved = record(&[("user_id", json!("ada"))], HOUR);
    store.create(&mut saved).await.unwrap();
    saved.expiry_date = past;
    store.save(&saved).await.unwrap();
    assert_eq!(store.load(&saved.id).await.unwrap(), None);
    assert!(setup.behind.list_sessions("ada").await.unwrap().sessions.is_empty());
    saved.expiry_date = OffsetDateTime::now_utc() + HOUR;
    store.save(&saved).await.unwrap();
    assert_eq!(store.load(&saved.id).await.unwrap(), None, "what has ended does not come back");

    // Past its date, though the store still has it.
    let mut kept = record(&[], HOUR);
    store.create(&mut kept).await.unwrap();
    let mut session = setup.behind.retrieve_session(&kept.id.to_string()).await.unwrap();
    session.metadata.insert(EXPIRES_AT, "2001-02-03T04:05:06Z").unwrap();
    setup.behind.update_session(&session).await.unwrap();
    assert_eq!(store.load(&kept.id).await.unwrap(), None);
}

async fn users_have_their_sessions(setup: Setup) {
    let create = async |user: serde_json::Value| {
        let mut session = record(&[("user_id", user), ("user_agent", json!("a browser"))], HOUR);
        setup.store.create(&mut session).await.unwrap();
        session.id.to_string()
    };
    let (laptop, phone) = (create(json!("ada")).await, create(json!("ada")).await);
    let (numbered, anonymous) = (create(json!(7)).await, create(json!(null)).await);
    let listed = setup.behind.list_sessions("ada").await.unwrap().sessions;
    assert_eq!(
        listed.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(),
        [&laptop, &phone]
    );
    assert_eq!(
        listed[0].metadata.get::<String>("user_agent").unwrap().as_deref(),
        Some("a browser")
    );
    assert_eq!(setup.behind.list_sessions("7").await.unwrap().sessions[0].id, numbered);
    assert_eq!(
        setup.behind.retrieve_session(&anonymous).await.unwrap().user_id,
        format!("anonymous:{anonymous}")
    );
    assert_eq!(setup.behind.delete_user_sessions("ada").await.unwrap(), 2);
    for (id, there) in [(laptop, false), (phone, false), (numbered, true), (anonymous, true)] {
        assert_eq!(setup.store.load(&id.parse().unwrap()).await.unwrap().is_some(), there);
    }
}

async fn the_user_changes_with_the_id_only(setup: Setup) {
    let store = &setup.store;
    let mut session = record(&[("n", json!(1))], HOUR);
    store.create(&mut session).await.unwrap();
    for user in ["ada", ""] {
        let changed = Record {
            data: [("user_id".to_owned(), json!(user)), ("n".to_owned(), json!(2))].into(),
            ..session.clone()
        };
        match (user, store.save(&changed).await) {
            ("", Ok(())) => {}
            ("ada", Err(Error::Backend(text))) => assert!(text.contains("cycle_id"), "{text}"),
            (_, other) => panic!("{other:?}"),
        }
        let wanted = if user.is_empty() { &changed } else { &session };
        assert_eq!(store.load(&session.id).await.unwrap().as_ref(), Some(wanted));
    }
    let by_mail = store
        .clone()
        .user_of(|record| Some(record.data.get("login")?.get("mail")?.as_str()?.to_owned()));
    let mut session = record(
        &[("login", json!({"mail": "ada@example.org"})), ("user_id", json!("not this one"))],
        HOUR,
    );
    by_mail.create(&mut session).await.unwrap();
    assert_eq!(setup.behind.list_sessions("ada@example.org").await.unwrap().sessions.len(), 1);
}

async fn errors_contain_no_secrets(setup: Setup) {
    let store = &setup.store;
    for name in [EXPIRES_AT, LOG_OUTS] {
        let taken = record(&[(name, json!("s3cret"))], HOUR);
        for result in [store.create(&mut taken.clone()).await, store.save(&taken).await] {
            assert!(
                matches!(&result, Err(Error::Encode(text)) if !text.contains("s3cret")),
                "{result:?}"
            );
        }
    }
    let foreign = Session::new("ada").id(Id::default().to_string());
    setup.behind.store_session(&foreign).await.unwrap();
    match store.load(&foreign.id.parse().unwrap()).await {
        Err(Error::Decode(text)) => assert!(!text.contains(&foreign.id)),
        other => panic!("{other:?}"),
    }
    let mut session = record(&[("n", json!("s3cret"))], HOUR);
    store.create(&mut session).await.unwrap();
    assert!(!format!("{store:?}").contains(&session.id.to_string()));
    setup.close();
    let id = session.id.to_string();
    let failed = [store.load(&session.id).await.map(drop), store.delete(&session.id).await];
    for result in failed {
        match result {
            Err(Error::Backend(text)) => assert_eq!(text, SessionError::Closed.to_string()),
            other => panic!("{}", format!("{other:?}").replace(&id, "…")),
        }
    }
}

macro_rules! everywhere {
    ($($case:ident)*) => {
        everywhere!(@at in_memory, $($case)*);
        everywhere!(@at rest_over_redis, $($case)*);
        everywhere!(@at rest_over_memory, $($case)*);
        everywhere!(@at manager, $($case)*);
    };
    (@at $place:ident, $($case:ident)*) => {
        mod $place {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let setup = redis_rest_test_support::redis_test!(crate::$place().await);
                super::$case(setup).await;
            })*
        }
    };
}
everywhere! {
    created_session_is_loaded_and_deleted
    creating_never_overwrites
    one_of_two_creates_of_an_id_wins
    the_id_of_a_deleted_session_is_not_used_again
    saving_replaces_the_data
    changes_of_others_to_the_session_are_kept
    saving_a_deleted_session_writes_nothing
    save_racing_a_delete_restores_nothing
    the_expiry_date_is_the_time_to_live
    expired_sessions_are_not_found
    users_have_their_sessions
    the_user_changes_with_the_id_only
    errors_contain_no_secrets
}
