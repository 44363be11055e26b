use super::scripted::Scripted;
use redis_rest::session::{
    Durability, InMemorySessionStore, ManagerOptions, Pending, ReadPolicy, Recovery,
    RedisSessionStore, SessionError, SessionManager, SessionStoreExt as _, WritePolicy,
};
use redis_rest::{BreakerState, Client, ErrorKind, cmd::Ttl};
use redis_rest_server::DEFAULT_TOKEN;
use redis_rest_server::MemoryBackend;
use redis_rest_test_support::gate::{GateState, HOUR, Node, at_once};
use redis_rest_test_support::proxy::{Fault, Proxy};
use redis_rest_test_support::rest;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn each_change_reports_its_durability() {
    let node = Node::new(at_once()).await;
    let created = node.manager.create_session("user", "org").await.unwrap();
    assert_eq!(created.durability, Durability::Durable);
    let mut session = created.session;
    assert_eq!(node.manager.update_session(&session).await.unwrap(), Durability::Durable);
    node.gate.set(GateState::RepliesLost);
    session.system_prompt = "stored, but nobody told us".into();
    assert_eq!(node.manager.update_session(&session).await.unwrap(), Durability::MaybeApplied);
    node.gate.set(GateState::Closed);
    assert_eq!(
        node.manager.create_session("user", "org").await.unwrap().durability,
        Durability::Pending
    );
    assert_eq!(node.manager.set_ttl(&session.id, HOUR).await.unwrap(), Durability::Pending);
    assert_eq!(
        node.manager.cleanup_session(&session.id).await.unwrap().durability,
        Durability::Pending
    );
    assert_eq!(
        node.manager.delete_user_sessions("user").await.unwrap().durability,
        Durability::Pending
    );
}

#[tokio::test]
async fn health_report_names_problem_start_and_pending_changes() {
    let node = Node::new(Recovery::default()).await;
    assert_eq!(node.manager.health().state, Some(BreakerState::Closed));
    node.create().await;
    node.gate.set(GateState::Closed);
    let before = chrono::Utc::now();
    node.create().await;
    node.manager.delete_user_sessions("another").await.unwrap();
    let health = node.manager.health();
    assert_eq!((health.state, health.held), (Some(BreakerState::Open), 2));
    assert_eq!((health.pending.new, health.pending.revoked), (1, 1));
    let (kind, at) = health.last_error.unwrap();
    assert_eq!(kind, ErrorKind::Connect);
    // A tenth of a second for rounding: the start of the state is stored as a monotonic instant.
    let earliest = before - Duration::from_millis(100);
    assert!(at >= before && health.since.unwrap() >= earliest && at <= chrono::Utc::now());
    assert_eq!(SessionManager::new("", 0).health().state, None);
}

#[tokio::test]
async fn a_full_journal_refuses_more_sessions_and_still_ends_them() {
    let node =
        Node::with_options(ManagerOptions::default().max_pending(2).recovery(at_once())).await;
    let (stored, mut other) = (node.create().await, node.create().await);
    node.gate.set(GateState::Closed);
    let pending = [node.create().await, node.create().await];
    for _ in 0..2 {
        let refused = node.manager.create_session("user", "org").await;
        assert!(matches!(refused, Err(SessionError::JournalFull { limit: 2 })));
    }
    other.system_prompt = "one more".into();
    assert!(matches!(
        node.manager.update_session(&other).await,
        Err(SessionError::JournalFull { .. })
    ));
    // Pending sessions may change, and existing ones may end.
    node.manager.update_session(&pending[0]).await.unwrap();
    assert!(node.manager.cleanup_session(&stored.id).await.unwrap().existed);
    assert!(matches!(node.manager.get_session(&stored.id).await, Err(SessionError::NotFound)));
    assert_eq!(
        node.manager.get_session(&other.id).await.unwrap().system_prompt,
        "",
        "refused is not made"
    );
    assert_eq!(node.manager.pending().deleted, 1);
    node.gate.set(GateState::Open);
    node.manager.flush().await.unwrap();
    assert_eq!(node.ids().await, [other.id.clone(), pending[0].id.clone(), pending[1].id.clone()]);
}

#[tokio::test]
async fn fail_closed_refuses_changes_during_an_outage() {
    let node = Node::with_options(
        ManagerOptions::default().writes(WritePolicy::FailClosed).recovery(at_once()),
    )
    .await;
    let mut session = node.create().await;
    node.gate.set(GateState::Closed);
    session.system_prompt = "not made".into();
    assert!(
        node.manager.create_session("user", "org").await.is_err_and(|error| error.is_unavailable())
    );
    assert!(node.manager.update_session(&session).await.is_err_and(|error| error.is_unavailable()));
    assert!(
        node.manager.cleanup_session(&session.id).await.is_err_and(|error| error.is_unavailable())
    );
    assert!(
        node.manager.delete_user_sessions("user").await.is_err_and(|error| error.is_unavailable())
    );
    assert_eq!(node.manager.pending(), Pending::default());
    node.gate.set(GateState::Open);
    assert_eq!(node.manager.get_session(&session.id).await.unwrap().system_prompt, "");
    assert_eq!(node.ids().await, [session.id]);
}

#[tokio::test]
async fn stale_copies_are_unavailable_but_pending_ones_are_served() {
    for policy in [ReadPolicy::ServeStale(Duration::ZERO), ReadPolicy::FailClosed] {
        let node = Node::with_options(
            ManagerOptions::default().reads(policy).recovery(Recovery::default()),
        )
        .await;
        let old = node.create().await;
        node.gate.set(GateState::Closed);
        let new = node.create().await;
        assert!(
            matches!(node.manager.get_session(&old.id).await, Err(SessionError::Unavailable(_))),
            "{policy:?}"
        );
        assert_eq!(
            node.manager.get_session(&new.id).await.is_ok(),
            policy != ReadPolicy::FailClosed,
            "{policy:?}"
        );
    }
}

#[tokio::test]
async fn a_time_to_live_set_in_an_outage_beats_the_touches_around_it() {
    let options = ManagerOptions::default().touch_interval(Duration::ZERO).recovery(at_once());
    let node = Node::with(SessionManager::with_options("", 0, options)).await;
    let session = node.create().await;
    node.gate.set(GateState::Closed);
    node.manager.get_session(&session.id).await.unwrap();
    node.manager.set_ttl(&session.id, Duration::from_secs(600)).await.unwrap();
    node.manager.get_session(&session.id).await.unwrap();
    node.gate.set(GateState::Open);
    node.manager.flush().await.unwrap();
    let ttl = Client::from_backend(node.engine.clone())
        .ttl(format!("session:{}", session.id))
        .await
        .unwrap();
    assert!(
        matches!(ttl, Ttl::Expires(left) if left <= Duration::from_secs(600) && left > Duration::from_secs(590)),
        "{ttl:?}"
    );
}

#[tokio::test]
async fn store_unavailable_at_start_is_used_once_it_works() {
    let node = Node::new(at_once()).await;
    let store = node.manager.session_store().unwrap();
    let late = SessionManager::with_options("", 0, ManagerOptions::default().recovery(at_once()));
    node.gate.set(GateState::Closed);
    assert!(late.set_session_store(store, true).await.is_err_and(|error| error.is_unavailable()));
    let new = late.create_session("user", "org").await.unwrap();
    assert_eq!(new.durability, Durability::Pending);
    node.gate.set(GateState::Open);
    late.get_session(&new.session.id).await.unwrap();
    assert_eq!(node.ids().await, std::slice::from_ref(&new.session.id));
}

fn journalled(file: &std::path::Path) -> Result<SessionManager, SessionError> {
    SessionManager::with_journal(
        "",
        0,
        ManagerOptions::default().max_staleness(Duration::ZERO).recovery(at_once()),
        file,
    )
}

#[tokio::test]
async fn a_journal_file_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal");
    let owner = journalled(&file).unwrap();
    assert!(matches!(
        journalled(&file),
        Err(SessionError::Journal { kind: std::io::ErrorKind::WouldBlock, .. })
    ));
    // Not under another name of the file either, even after a rewrite.
    let names = ["symbolic", "hard"].map(|name| dir.path().join(name));
    std::os::unix::fs::symlink(&file, &names[0]).unwrap();
    std::fs::hard_link(&file, &names[1]).unwrap();
    owner.create_session("user", "org").await.unwrap();
    for emptied in [false, true] {
        if emptied {
            let store = InMemorySessionStore::new(HOUR);
            owner.set_session_store(Arc::new(store), true).await.unwrap();
            owner.flush().await.unwrap();
            assert!(std::fs::read(&file).unwrap().is_empty());
        }
        for name in &names {
            let other = journalled(name);
            assert!(matches!(
                other,
                Err(SessionError::Journal { kind: std::io::ErrorKind::WouldBlock, .. })
            ));
        }
    }
    drop(owner);
    assert!(journalled(&file).is_ok(), "free when its owner is gone");
    assert!(std::fs::symlink_metadata(&names[0]).unwrap().is_symlink());
    assert!(journalled(&dir.path().join("no such directory/journal")).is_err());
}

/// After a full disk, or a foreign file.
#[tokio::test]
async fn journal_file_of_a_gigabyte_without_lines_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    drop(file);
    let manager = journalled(&path).unwrap();
    assert_eq!(manager.pending(), Pending::default());
    let session = manager.create_session("user", "org").await.unwrap().session;
    drop(manager);
    let next = journalled(&path).unwrap();
    assert_eq!(next.get_session(&session.id).await.unwrap().id, session.id);
}

/// Fails closed, so that changes made during the outage are rolled back.
#[tokio::test]
async fn rolled_back_change_keeps_earlier_journal_entries() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal");
    let open = || {
        SessionManager::with_journal(
            "",
            0,
            ManagerOptions::default().writes(WritePolicy::FailClosed),
            &file,
        )
        .unwrap()
    };
    let manager = open();
    // Before there was a store.
    let [changed, ended, revoked] =
        ["user", "user", "another"].map(|user| manager.create_session(user, "org"));
    let [mut changed, ended, _] = [
        changed.await.unwrap().session,
        ended.await.unwrap().session,
        revoked.await.unwrap().session,
    ];
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    store.fail(true);
    changed.system_prompt = "not made".into();
    manager.update_session(&changed).await.unwrap_err();
    manager.cleanup_session(&ended.id).await.unwrap_err();
    manager.delete_user_sessions("another").await.unwrap_err();
    assert_eq!(manager.pending().new, 3);
    drop(manager);
    let manager = open();
    assert_eq!(manager.pending().new, 3);
    assert_eq!(manager.get_session(&changed.id).await.unwrap().system_prompt, "");
}

#[tokio::test]
async fn a_journal_file_does_not_grow_while_the_store_works() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal");
    let manager = journalled(&file).unwrap();
    manager.create_session("user", "org").await.unwrap();
    manager.set_session_store(Arc::new(InMemorySessionStore::new(HOUR)), true).await.unwrap();
    manager.flush().await.unwrap();
    for _ in 0..10 {
        let session = manager.create_session("user", "org").await.unwrap().session;
        manager.cleanup_session(&session.id).await.unwrap();
    }
    assert_eq!(manager.pending(), Pending::default());
    drop(manager);
    assert!(std::fs::read(&file).unwrap().is_empty());
}

/// Nothing is flushed during an outage.
#[tokio::test]
async fn journal_file_stays_short_in_an_outage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal");
    let options = ManagerOptions::default().touch_interval(Duration::ZERO);
    let manager = SessionManager::with_journal("", 0, options, &file).unwrap();
    let store = Scripted::new(InMemorySessionStore::new(HOUR));
    manager.set_session_store(Arc::new(store.clone()), true).await.unwrap();
    let mut session = manager.create_session("user", "org").await.unwrap().session;
    store.fail(true);
    session.system_prompt = "changed".into();
    manager.update_session(&session).await.unwrap();
    for _ in 0..1200 {
        manager.get_session(&session.id).await.unwrap();
    }
    session.system_prompt = "changed again".into();
    manager.update_session(&session).await.unwrap();
    let lines = std::fs::read_to_string(&file).unwrap().lines().count();
    assert!(lines < 300, "{lines} lines");
    drop(manager);
    let next = journalled(&file).unwrap();
    let recovered = next.get_session(&session.id).await.unwrap();
    assert_eq!(recovered.system_prompt, "changed again");
}

/// Kills a process during an outage, and checks that its successor writes the changes.
#[tokio::test]
async fn pending_changes_of_a_killed_process_are_written_by_the_next() {
    let engine = MemoryBackend::new();
    let server = rest::serve(engine.clone()).await;
    let proxy = Proxy::start(server.local_addr(), Fault::Drop, 0).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sessions::durability::killed_child_process", "--ignored", "--nocapture"])
        .envs([("KILLED_URL", proxy.url()), ("KILLED_JOURNAL", file.display().to_string())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = tokio::task::spawn_blocking(move || (next_words(&mut output), output));
    let (stored, mut output) = (&mut told).await.unwrap();
    proxy.listen(false);
    writeln!(child.stdin.as_mut().unwrap(), "go on").unwrap();
    let pending = tokio::task::spawn_blocking(move || self::next_words(&mut output)).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((stored.len(), pending.len()), (3, 1), "the child did its part");

    proxy.listen(true);
    let manager = journalled(&file).unwrap();
    assert_eq!(
        manager.get_session(&stored[0]).await.unwrap().system_prompt,
        "changed in the outage"
    );
    let client = Client::new(proxy.url(), DEFAULT_TOKEN).unwrap();
    manager.set_session_store(Arc::new(RedisSessionStore::new(client, HOUR)), true).await.unwrap();
    assert_eq!(manager.pending(), Pending::default());
    let elsewhere = RedisSessionStore::new(Client::from_backend(engine), HOUR);
    assert_eq!(
        elsewhere.retrieve_session(&stored[0]).await.unwrap().system_prompt,
        "changed in the outage"
    );
    assert!(!elsewhere.exists(&stored[1]).await.unwrap(), "ended");
    assert!(!elsewhere.exists(&stored[2]).await.unwrap(), "its user was logged out everywhere");
    assert!(elsewhere.exists(&pending[0]).await.unwrap());
    drop(manager);
    assert_eq!(journalled(&file).unwrap().pending(), Pending::default(), "nothing is owed twice");
}

/// Returns the words of the child's next line.
fn next_words(output: &mut impl std::io::BufRead) -> Vec<String> {
    let line = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("told: ").map(|(_, rest)| rest.to_owned()));
    line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The child process of the test above; does nothing if run directly.
#[tokio::test]
#[ignore = "started by pending_changes_of_a_killed_process_are_written_by_the_next"]
async fn killed_child_process() {
    let (Ok(url), Ok(file)) = (std::env::var("KILLED_URL"), std::env::var("KILLED_JOURNAL")) else {
        return;
    };
    let manager = journalled(file.as_ref()).unwrap();
    let client = Client::builder().url(url).token(DEFAULT_TOKEN).no_retry().build().unwrap();
    manager.set_session_store(Arc::new(RedisSessionStore::new(client, HOUR)), true).await.unwrap();
    let mut changed = manager.create_session("user", "org").await.unwrap().session;
    let ended = manager.create_session("user", "org").await.unwrap().session;
    let revoked = manager.create_session("another", "org").await.unwrap().session;
    println!("\ntold: {} {} {}", changed.id, ended.id, revoked.id);
    let mut input = std::io::stdin().lock();
    input.read_line(&mut String::new()).unwrap();
    changed.system_prompt = "changed in the outage".into();
    assert_ne!(manager.update_session(&changed).await.unwrap(), Durability::Durable);
    manager.cleanup_session(&ended.id).await.unwrap();
    manager.delete_user_sessions("another").await.unwrap();
    let new = manager.create_session("user", "org").await.unwrap().session;
    println!("\ntold: {}", new.id);
    // Until it is killed.
    input.read_line(&mut String::new()).unwrap();
}
