//! A store that counts, fails and waits when told to.

use redis_rest::session::{
    BatchOutcome, InMemorySessionStore, PendingPut, Reconciled, Session, SessionError, SessionList,
    SessionStore, StoreFuture, Touched,
};
use redis_rest::{BoxFuture, Error, ErrorKind, Outcome};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// Whether a call waits, when it has been given a turn.
pub async fn waits(mut call: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await
}

#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    store: InMemorySessionStore,
    reads: AtomicUsize,
    fails: AtomicBool,
    refuses: AtomicBool,
    held: watch::Sender<bool>,
    puts: AtomicUsize,
    held_puts: watch::Sender<bool>,
}

impl Scripted {
    pub fn new(store: InMemorySessionStore) -> Self {
        Self(Arc::new(Inner {
            store,
            reads: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            held: watch::Sender::new(false),
            puts: AtomicUsize::new(0),
            held_puts: watch::Sender::new(false),
        }))
    }

    pub fn inner(&self) -> &InMemorySessionStore {
        &self.0.store
    }

    /// How many reads there were.
    pub fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// Every call fails as if Redis were away.
    pub fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    /// Writes are refused, as for a record that is too large.
    pub fn refuse_writes(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::SeqCst);
    }

    /// The answers of reads and probes wait until they are let go.
    pub fn hold_reads(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    /// How often it was told of changes.
    pub fn puts(&self) -> usize {
        self.0.puts.load(Ordering::SeqCst)
    }

    /// The answers to changes, which are made at once or refused, wait until they are let go.
    pub fn hold_puts(&self, held: bool) {
        self.0.held_puts.send_replace(held);
    }

    fn check(&self) -> Result<(), SessionError> {
        match self.0.fails.load(Ordering::SeqCst) {
            true => Err(SessionError::Unavailable(Error::custom(
                ErrorKind::Connect,
                Outcome::NotApplied,
                "told to fail",
            ))),
            false => Ok(()),
        }
    }

    fn check_write(&self) -> Result<(), SessionError> {
        self.check()?;
        match self.0.refuses.load(Ordering::SeqCst) {
            true => Err(SessionError::Refused(Error::custom(
                ErrorKind::InvalidCommand,
                Outcome::NotApplied,
                "told to refuse",
            ))),
            false => Ok(()),
        }
    }

    /// Counts, reads, and waits with the answer.
    async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let answer = read.await;
        // The sender lives as long as the store.
        let _ = self.0.held.subscribe().wait_for(|held| !held).await;
        self.check()?;
        answer
    }
}

macro_rules! reads {
    ($($name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {$(
        fn $name<'a>(&'a self, $($arg: &'a $type),*) -> StoreFuture<'a, $reply> {
            Box::pin(self.read(self.0.store.$name($($arg),*)))
        }
    )*};
}

macro_rules! writes {
    ($($name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {$(
        fn $name<'a>(&'a self, $($arg: $type),*) -> StoreFuture<'a, $reply> {
            Box::pin(async move {
                self.check_write()?;
                self.0.store.$name($($arg),*).await
            })
        }
    )*};
}

impl SessionStore for Scripted {
    reads! {
        retrieve_session(id: str) -> Session;
        list_sessions(user_id: str) -> SessionList;
        exists(id: str) -> bool;
        health() -> ();
        probe() -> ();
    }
    writes! {
        store_session(session: &'a Session) -> ();
        create_session(session: &'a Session) -> ();
        update_session(session: &'a Session) -> ();
        compare_and_update(session: &'a Session) -> ();
        delete_session(id: &'a str) -> bool;
        delete_loaded(session: &'a Session) -> bool;
        compare_and_delete(session: &'a Session) -> ();
        set_ttl(id: &'a str, ttl: Duration) -> ();
        touch(id: &'a str) -> Touched;
        touch_loaded(session: &'a Session, automatic: bool) -> Touched;
        cleanup_expired_sessions(user_id: &'a str) -> usize;
        delete_user_sessions(user_id: &'a str) -> usize;
        close() -> ();
    }

    fn batch_store_sessions<'a>(&'a self, sessions: &'a [Session]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(async move {
            match self.check_write() {
                Ok(()) => self.0.store.batch_store_sessions(sessions).await,
                Err(error) => BatchOutcome::new(
                    sessions
                        .iter()
                        .map(|session| (session.id.clone(), Err(error.clone())))
                        .collect(),
                ),
            }
        })
    }

    fn batch_delete_sessions<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, BatchOutcome> {
        Box::pin(async move {
            match self.check_write() {
                Ok(()) => self.0.store.batch_delete_sessions(ids).await,
                Err(error) => BatchOutcome::new(
                    ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
                ),
            }
        })
    }

    fn reconcile<'a>(
        &'a self,
        puts: &'a [PendingPut],
    ) -> BoxFuture<'a, Vec<Result<Reconciled, SessionError>>> {
        Box::pin(async move {
            self.0.puts.fetch_add(1, Ordering::SeqCst);
            let answer = match self.check_write() {
                Ok(()) => self.0.store.reconcile(puts).await,
                Err(error) => puts.iter().map(|_| Err(error.clone())).collect(),
            };
            // As above.
            let _ = self.0.held_puts.subscribe().wait_for(|held| !held).await;
            answer
        })
    }

    fn default_ttl(&self) -> Duration {
        self.0.store.default_ttl()
    }

    fn set_default_ttl(&self, ttl: Duration) {
        self.0.store.set_default_ttl(ttl);
    }
}
