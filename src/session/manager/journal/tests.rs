//! The journal on a disk that fails, is slow, or is cut off.

use super::*;
use crate::platform::BoxFuture;
use crate::session::change::{ChangeId, ChangeIds};
use crate::session::error::SessionError;
use crate::session::manager::decide::{Create, ExplicitTtl, PendingChange};
use crate::session::manager::outbox::Tombstone;
use crate::session::marks::Marks;
use crate::session::record::Session;
use crate::session::store::{Mode, TtlRule, Write};
use crate::session::version::Version;
use chrono::{DateTime, Utc};
use std::task::Poll;
use tokio::sync::watch;

const SLACK: usize = 1000;

/// A disk, and whether its next write succeeds.
#[derive(Default)]
struct Disk {
    bytes: Mutex<Vec<u8>>,
    full: Mutex<bool>,
    unrenamable: Mutex<bool>,
    held: watch::Sender<bool>,
}

#[derive(Clone, Default)]
struct File(Arc<Disk>);

impl JournalFile for File {
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let _ = self.0.held.subscribe().wait_for(|held| !held).await;
            let full = *self.0.full.lock();
            let part = if full { bytes.len() / 2 } else { bytes.len() };
            self.0.bytes.lock().extend(&bytes[..part]);
            if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn rewrite(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            if *self.0.unrenamable.lock() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            *self.0.bytes.lock() = bytes;
            Ok(())
        })
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        self.0.bytes.lock().clone()
    }

    fn open(&self) -> (Journal, Vec<Line>) {
        Journal::open(Box::new(self.clone()), self.bytes().as_slice(), SLACK).unwrap()
    }

    /// Whom the file has something pending of.
    fn pending(&self) -> Vec<String> {
        self.open().1.iter().map(name).collect()
    }
}

fn name(line: &Line) -> String {
    match line {
        Line::Put(change) => format!("{} {}", change.session.id, change.session.system_prompt),
        Line::Delete { id, .. } => format!("end of {id}"),
        Line::Revoke { user, .. } => format!("log-out of {user}"),
        settled => panic!("{settled:?}"),
    }
}

fn change(id: &str, prompt: &str) -> PendingChange {
    let mut session = Session::new("user").id(id).org_id("org");
    session.system_prompt = prompt.into();
    let change = ChangeId::new();
    let time = DateTime::<Utc>::from_timestamp_millis(1_700_000_000_123).unwrap();
    let marks: Marks = [ChangeId::new()].into_iter().collect();
    let mode = Mode::Create { marks: &marks, reuse: false };
    let write = Write { id: change, session: &session, mode, content: true, ttl: TtlRule::Keep };
    let base = Some(Version::created(&write));
    PendingChange {
        session: Arc::new(session),
        ids: vec![change],
        content: Some(change),
        ttl: Some(ExplicitTtl { id: change, ends_at: time }),
        slides_to: Some(time),
        ends_at: Some(time),
        base,
        create: Some(Create { create_by: time, marks, derived: true, sent: true, live: false }),
    }
}

fn put(id: &str, prompt: &str) -> Line {
    Line::Put(change(id, prompt))
}

fn delete(id: &str) -> Line {
    let end = ChangeId::new();
    let end = Tombstone { id: end, user_id: None, mark_until: None, made: Some(end) };
    Line::Delete { id: id.into(), end }
}

fn of(id: &str) -> Key {
    Key::Session(id.into())
}

async fn write(journal: &Journal, line: &Line) -> Result<(), io::ErrorKind> {
    let ticket = journal.add(line);
    journal.written(ticket).await
}

#[tokio::test]
async fn changes_come_back_as_they_were_written() {
    let file = File::default();
    let (journal, _) = file.open();
    let written = put("a", "1");
    write(&journal, &written).await.unwrap();
    assert_eq!(file.open().1, [written], "its create counts as sent");
}

#[tokio::test]
async fn the_last_line_of_a_session_and_a_user_counts_wherever_the_file_is_cut_off() {
    let file = File::default();
    let (journal, _) = file.open();
    let log_out = ChangeIds::new().next();
    let lines = [put("a", "1"), put("b", "1"), delete("b"), put("c", "1"), put("a", "2")];
    for line in &lines {
        write(&journal, line).await.unwrap();
    }
    let ticket = journal.settle(of("c")).unwrap();
    journal.written(ticket).await.unwrap();
    assert!(journal.settle(of("c")).is_none(), "nothing of it is pending");
    assert_eq!(file.pending(), ["end of b", "a 2"]);
    let whole = file.bytes();
    write(&journal, &put("a", "3")).await.unwrap();
    let longer = file.bytes();
    for end in whole.len() + 1..longer.len() - 1 {
        let cut = File::default();
        *cut.0.bytes.lock() = longer[..end].to_vec();
        let (journal, _) = cut.open();
        assert_eq!(cut.pending(), ["end of b", "a 2"], "cut off at {end}");
        write(&journal, &put("d", "1")).await.unwrap();
        assert_eq!(cut.pending(), ["end of b", "a 2", "d 1"], "cut off at {end}");
    }
    write(&journal, &Line::Revoke { user: "user".into(), log_out }).await.unwrap();
    assert_eq!(file.pending(), ["end of b", "log-out of user"], "ends what was pending before it");
    write(&journal, &put("a", "4")).await.unwrap();
    assert_eq!(file.pending(), ["end of b", "log-out of user", "a 4"]);
}

#[tokio::test]
async fn intact_lines_of_another_version_are_refused() {
    let text = r#"{"forgiven":{"user_id":"u"}}"#;
    let sum = sha1_smol::Sha1::from(text).digest().to_string();
    let file = format!("{} {text}\n", &sum[..16]);
    let opened = Journal::open(Box::new(File::default()), file.as_bytes(), SLACK);
    assert_eq!(opened.err().map(|error| error.kind()), Some(io::ErrorKind::InvalidData));
    let damaged = file.replace('u', "v");
    let (_, pending) = Journal::open(Box::new(File::default()), damaged.as_bytes(), SLACK).unwrap();
    assert!(pending.is_empty());
}

#[tokio::test]
async fn lines_after_a_failed_write_can_be_read() {
    let file = File::default();
    let (journal, _) = file.open();
    write(&journal, &put("a", "1")).await.unwrap();
    *file.0.full.lock() = true;
    assert_eq!(write(&journal, &put("a", "2")).await, Err(io::ErrorKind::StorageFull));
    *file.0.full.lock() = false;
    write(&journal, &put("b", "1")).await.unwrap();
    assert_eq!(file.pending(), ["a 1", "b 1"]);
}

#[tokio::test]
async fn lines_of_a_cancelled_writer_are_written_by_the_next_in_their_order() {
    let file = File::default();
    let (journal, _) = file.open();
    file.0.held.send_replace(true);
    let (one, two) = (put("a", "1"), put("a", "2"));
    let mut first = Box::pin(write(&journal, &one));
    let mut second = Box::pin(write(&journal, &two));
    for call in [&mut first, &mut second] {
        let pending =
            std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()));
        assert!(pending.await);
    }
    drop(first);
    file.0.held.send_replace(false);
    second.await.unwrap();
    assert_eq!(file.pending(), ["a 2"]);
}

#[tokio::test(start_paused = true)]
async fn files_are_written_anew_and_go_on_if_that_fails() {
    let file = File::default();
    let (journal, _) = file.open();
    let tidy = async |lines: Vec<Line>| {
        let pending = |take: &mut dyn FnMut()| {
            take();
            lines
        };
        journal.tidy(pending).await;
    };
    for n in 0..SLACK + 5 {
        drop(journal.add(&put("a", &n.to_string())));
    }
    assert!(journal.is_untidy());
    *file.0.unrenamable.lock() = true;
    let last = put("a", "last");
    let ticket = journal.add(&last);
    tidy(vec![last.clone()]).await;
    journal.written(ticket).await.unwrap();
    assert_eq!(file.pending(), ["a last"]);
    assert!(!journal.is_untidy(), "tried again after a pause");
    tokio::time::advance(PAUSE).await;
    *file.0.unrenamable.lock() = false;
    tidy(vec![last.clone()]).await;
    assert_eq!(file.bytes(), last.encode());
    let ticket = journal.settle(of("a")).unwrap();
    journal.written(ticket).await.unwrap();
    assert!(journal.is_untidy());
    tidy(vec![]).await;
    assert!(file.bytes().is_empty() && !journal.is_untidy());
    let error = SessionError::Journal { kind: io::ErrorKind::StorageFull, maybe_applied: true };
    assert!(error.maybe_applied());
}
