//! A store that counts, fails and waits on demand.

use redis_rest::session::{
    ChangeId, Check, Delete, InMemorySessionStore, Listed, ManagerOptions, SessionError,
    SessionManager, SessionStore, StoreFuture, StoreHealth, Stored, Write, Written,
};
use redis_rest::{BoxFuture, Error, ErrorKind, Outcome};
use redis_rest_test_support::gate::HOUR;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// Returns true if a call waits after one turn.
pub async fn waits(mut call: Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await
}

/// Returns a manager over a scripted store.
pub async fn manager(options: ManagerOptions, sync: bool) -> (SessionManager, Scripted) {
    let store = Scripted::new(InMemorySessionStore::new(24 * HOUR));
    let manager = SessionManager::with_options("", 0, options);
    manager.set_session_store(Arc::new(store.clone()), sync).await.unwrap();
    (manager, store)
}

#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    store: InMemorySessionStore,
    reads: AtomicUsize,
    fails: AtomicBool,
    refuses: AtomicBool,
    deaf: AtomicBool,
    most: AtomicUsize,
    spoiled: Mutex<Option<String>>,
    largest: AtomicUsize,
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
            deaf: AtomicBool::new(false),
            most: AtomicUsize::new(usize::MAX),
            spoiled: Mutex::default(),
            largest: AtomicUsize::new(0),
            held: watch::Sender::new(false),
            puts: AtomicUsize::new(0),
            held_puts: watch::Sender::new(false),
        }))
    }

    pub fn inner(&self) -> &InMemorySessionStore {
        &self.0.store
    }

    /// Returns the number of reads.
    pub fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// Every call fails as if Redis were unavailable.
    pub fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    /// Writes are refused, as if the record were too large.
    pub fn refuse_writes(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Changes are executed, and their replies are lost.
    pub fn lose_replies(&self, lost: bool) {
        self.0.deaf.store(lost, Ordering::SeqCst);
    }

    /// Requests with more bytes of records than this are refused as a whole.
    pub fn limit(&self, bytes: usize) {
        self.0.most.store(bytes, Ordering::SeqCst);
    }

    /// Requests that change this session, or list this user's, time out as a whole.
    pub fn spoil(&self, name: Option<&str>) {
        *self.0.spoiled.lock().unwrap() = name.map(str::to_owned);
    }

    /// Returns the most bytes of records in an executed request.
    pub fn largest(&self) -> usize {
        self.0.largest.load(Ordering::SeqCst)
    }

    fn is_spoiled(&self, name: &str) -> bool {
        self.0.spoiled.lock().unwrap().as_deref() == Some(name)
    }

    fn check_size(&self, bytes: usize, spoiled: bool) -> Result<(), SessionError> {
        if spoiled {
            return Err(SessionError::MaybeApplied(Error::custom(
                ErrorKind::Timeout,
                Outcome::MaybeApplied,
                "told to time out",
            )));
        }
        if bytes > self.0.most.load(Ordering::SeqCst) {
            return Err(SessionError::Refused(Error::custom(
                ErrorKind::InvalidCommand,
                Outcome::NotApplied,
                "request too large",
            )));
        }
        self.0.largest.fetch_max(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn check_reply(&self) -> Result<(), SessionError> {
        if self.0.deaf.load(Ordering::SeqCst) {
            Err(SessionError::MaybeApplied(Error::custom(
                ErrorKind::Io,
                Outcome::MaybeApplied,
                "told to lose replies",
            )))
        } else {
            Ok(())
        }
    }

    /// Holds the replies of reads and probes until released.
    pub fn hold_reads(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    /// Returns the number of requests with changes.
    pub fn puts(&self) -> usize {
        self.0.puts.load(Ordering::SeqCst)
    }

    /// Holds the replies to changes, which are executed or refused at once, until released.
    pub fn hold_puts(&self, held: bool) {
        self.0.held_puts.send_replace(held);
    }

    fn check(&self) -> Result<(), SessionError> {
        if self.0.fails.load(Ordering::SeqCst) {
            Err(SessionError::Unavailable(Error::custom(
                ErrorKind::Connect,
                Outcome::NotApplied,
                "told to fail",
            )))
        } else {
            Ok(())
        }
    }

    fn check_write(&self) -> Result<(), SessionError> {
        self.check()?;
        if self.0.refuses.load(Ordering::SeqCst) {
            Err(SessionError::Refused(Error::custom(
                ErrorKind::InvalidCommand,
                Outcome::NotApplied,
                "told to refuse",
            )))
        } else {
            Ok(())
        }
    }

    /// Counts, reads, and holds the reply. Executes a request with changes, given its size and
    /// whether it contains the spoiled session.
    async fn put<T>(
        &self,
        bytes: usize,
        spoiled: bool,
        execute: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        self.0.puts.fetch_add(1, Ordering::SeqCst);
        let reply = match self.check_write().and(self.check_size(bytes, spoiled)) {
            Ok(()) => execute.await,
            Err(error) => Err(error),
        };
        let _ = self.0.held_puts.subscribe().wait_for(|held| !held).await;
        self.check_reply()?;
        reply
    }

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

/// Returns the results of a request on several sessions that is refused as a whole.
fn all<T>(count: usize, error: &SessionError) -> Vec<Result<T, SessionError>> {
    (0..count).map(|_| Err(error.clone())).collect()
}

impl SessionStore for Scripted {
    fn get<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Vec<Result<Stored, SessionError>>> {
        Box::pin(async move {
            let read = async { Ok(self.0.store.get(ids).await) };
            self.read(read).await.unwrap_or_else(|error| all(ids.len(), &error))
        })
    }

    fn list<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Listed> {
        Box::pin(async move {
            self.check_size(0, self.is_spoiled(user_id))?;
            self.read(self.0.store.list(user_id)).await
        })
    }

    fn write<'a>(
        &'a self,
        writes: &'a [Write<'a>],
    ) -> BoxFuture<'a, Vec<Result<Written, SessionError>>> {
        Box::pin(async move {
            let bytes = writes.iter().map(|write| write.session.to_json().unwrap().len()).sum();
            let spoiled = writes.iter().any(|write| self.is_spoiled(&write.session.id));
            let reply = self.put(bytes, spoiled, async { Ok(self.0.store.write(writes).await) });
            reply.await.unwrap_or_else(|error| all(writes.len(), &error))
        })
    }

    fn delete<'a>(
        &'a self,
        deletes: &'a [Delete<'a>],
    ) -> BoxFuture<'a, Vec<Result<bool, SessionError>>> {
        Box::pin(async move {
            let spoiled = deletes.iter().any(|delete| self.is_spoiled(delete.session));
            let reply = self.put(0, spoiled, async { Ok(self.0.store.delete(deletes).await) });
            reply.await.unwrap_or_else(|error| all(deletes.len(), &error))
        })
    }

    fn revoke<'a>(&'a self, user_id: &'a str, log_out: ChangeId) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let spoiled = self.is_spoiled(user_id);
            self.put(0, spoiled, async { self.0.store.revoke(user_id, log_out).await }).await
        })
    }

    fn prune<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, usize> {
        Box::pin(async move {
            self.check_write()?;
            self.0.store.prune(user_id).await
        })
    }

    fn health(&self, check: Check) -> StoreFuture<'_, StoreHealth> {
        Box::pin(self.read(self.0.store.health(check)))
    }

    fn default_ttl(&self) -> Duration {
        self.0.store.default_ttl()
    }
}
