//! Events between the two steps of a change on a cluster, and their repair if the second never
//! comes.

use redis_rest::backend::{Backend, Reply};
use redis_rest::session::{
    Conflict, IndexLayout, RedisSessionStore, Session, SessionError, SessionStoreExt as _,
};
use redis_rest::{BoxFuture, CallOptions, Client, Command, Error, ErrorKind, Outcome, Result};
use redis_rest_server::MemoryBackend;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const INDEX: &str = "user_sessions:";
const RECORD: &str = "session:";

/// An event before a command.
pub enum Event {
    /// The connection breaks, with this outcome of the request.
    Cut(Outcome),
    /// Another client is faster.
    Run(BoxFuture<'static, ()>),
}

/// Waits for commands on keys of one kind, lets some pass, and then triggers the event.
struct Wait {
    kind: &'static str,
    pass: usize,
    event: Event,
}

#[derive(Clone)]
pub struct Stepped {
    engine: MemoryBackend,
    is_cluster: bool,
    wait: Arc<Mutex<Option<Wait>>>,
}

impl Stepped {
    pub fn new(engine: MemoryBackend, is_cluster: bool) -> Self {
        Self { engine, is_cluster, wait: Arc::default() }
    }

    /// Triggers `event` before the `nth` command, counted from 1.
    pub fn before(&self, nth: usize, kind: &'static str, event: Event) {
        *self.wait.lock().unwrap() = Some(Wait { kind, pass: nth - 1, event });
    }

    /// Returns the event if it is due.
    fn due(&self, commands: &[Command]) -> Option<Event> {
        let mut wait = self.wait.lock().unwrap();
        let waiting = wait.as_mut()?;
        let on_kind = |command: &Command| {
            command.arguments().any(|argument| argument.starts_with(waiting.kind.as_bytes()))
        };
        if !commands.iter().any(on_kind) {
            return None;
        }
        if waiting.pass > 0 {
            waiting.pass -= 1;
            return None;
        }
        wait.take().map(|wait| wait.event)
    }

    async fn pass(&self, commands: &[Command]) -> Result<()> {
        match self.due(commands) {
            None => Ok(()),
            Some(Event::Cut(outcome)) => {
                Err(Error::custom(ErrorKind::Io, outcome, "the connection broke"))
            }
            Some(Event::Run(other)) => {
                other.await;
                Ok(())
            }
        }
    }
}

impl Backend for Stepped {
    fn execute<'a>(
        &'a self,
        command: &'a Command,
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            self.pass(std::slice::from_ref(command)).await?;
            self.engine.execute(command, options).await
        })
    }

    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(async move {
            match self.pass(commands).await {
                Ok(()) => self.engine.pipeline(commands, options).await,
                Err(error) => commands.iter().map(|_| Err(error.clone())).collect(),
            }
        })
    }

    fn transaction<'a>(
        &'a self,
        commands: &'a [Command],
        options: &'a CallOptions,
    ) -> BoxFuture<'a, Result<Vec<Reply>>> {
        self.engine.transaction(commands, options)
    }

    fn is_cluster(&self) -> bool {
        self.is_cluster
    }
}

struct Setup {
    way: Stepped,
    store: RedisSessionStore,
    /// A second store over the same data.
    other: RedisSessionStore,
}

/// The engine has the scripts, so that a command is sent once.
async fn setup(layout: IndexLayout) -> Setup {
    let engine = MemoryBackend::new();
    let way = Stepped::new(engine.clone(), true);
    let store =
        RedisSessionStore::new(Client::from_backend(way.clone()), HOUR).index_layout(layout);
    let other =
        RedisSessionStore::new(Client::from_backend(engine), HOUR).index_layout(layout).cluster();
    let session = Session::new("first").org_id("org");
    store.store_session(&session).await.unwrap();
    store.touch(&session.id).await.unwrap();
    store.delete_session(&session.id).await.unwrap();
    store.cleanup_expired_sessions("first").await.unwrap();
    Setup { way, store, other }
}

impl Setup {
    fn session(&self) -> Session {
        Session::new("user").org_id("org")
    }

    /// Returns the ids in the index, whether such sessions exist or not.
    async fn index(&self, layout: IndexLayout) -> Vec<String> {
        let client = self.other.client();
        match layout {
            IndexLayout::SortedSet => client.zrange("user_sessions:user").await.unwrap(),
            _ => {
                let text: Option<String> = client.get("user_sessions:user").await.unwrap();
                text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default()
            }
        }
    }

    async fn listed(&self) -> Vec<String> {
        let list = self.other.list_sessions("user").await.unwrap();
        assert_eq!(list.corrupt, 0);
        list.into_iter().map(|session| session.id).collect()
    }

    /// Runs in place of another client.
    fn meanwhile<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl FnOnce(RedisSessionStore) -> F,
    ) -> Event {
        Event::Run(Box::pin(act(self.other.clone())))
    }
}

macro_rules! in_both_layouts {
    ($($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() {
            for layout in [IndexLayout::JsonArray, IndexLayout::SortedSet] {
                cases::$case(setup(layout).await, layout).await;
            }
        })*
    };
}
in_both_layouts! {
    a_store_that_is_cut_off_leaves_an_id_and_no_session
    a_delete_that_is_cut_off_leaves_an_id_and_no_session
    a_clean_up_between_the_steps_of_a_store_loses_nothing
    a_clean_up_that_was_overtaken_by_a_store_takes_nothing_out
    a_step_that_is_cut_off_is_taken_again
    a_session_that_is_not_listed_is_listed_again_by_its_use
    a_log_out_between_the_steps_of_a_create_ends_it
    a_store_that_is_refused_leaves_no_id
    a_delete_between_the_steps_of_a_store_wins
}

mod cases {
    use super::*;

    pub async fn a_store_that_is_cut_off_leaves_an_id_and_no_session(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let session = setup.session();
        // Whatever the outcome of the first step: the session is not stored.
        for outcome in [Outcome::NotApplied, Outcome::MaybeApplied] {
            setup.way.before(1, INDEX, Event::Cut(outcome));
            let error = setup.store.store_session(&session).await.unwrap_err();
            assert!(
                matches!(error, SessionError::Unavailable(_)) && !error.maybe_applied(),
                "{error}"
            );
            assert!(setup.index(layout).await.is_empty());
        }
        setup.way.before(1, RECORD, Event::Cut(Outcome::NotApplied));
        let error = setup.store.store_session(&session).await.unwrap_err();
        assert!(matches!(error, SessionError::Unavailable(_)), "{error}");
        assert_eq!(setup.index(layout).await, [session.id.as_str()]);
        assert!(setup.listed().await.is_empty(), "readers pass over it");
        assert_eq!(setup.store.cleanup_expired_sessions("user").await.unwrap(), 1);
        assert!(setup.index(layout).await.is_empty());
        setup.store.store_session(&session).await.unwrap();
        assert_eq!(setup.listed().await, [session.id]);
    }

    pub async fn a_delete_that_is_cut_off_leaves_an_id_and_no_session(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let sessions = [setup.session(), setup.session(), setup.session()];
        assert!(setup.store.batch_store_sessions(&sessions).await.is_ok());
        let ids = sessions.each_ref().map(|session| session.id.clone());
        setup.way.before(1, INDEX, Event::Cut(Outcome::MaybeApplied));
        assert!(setup.store.delete_session(&ids[0]).await.unwrap());
        setup.way.before(1, INDEX, Event::Cut(Outcome::NotApplied));
        assert!(setup.store.batch_delete_sessions(&ids[1..]).await.is_ok());
        assert_eq!(setup.index(layout).await.len(), 3);
        assert!(setup.listed().await.is_empty());
        assert!(matches!(
            setup.store.store_session(&sessions[0]).await,
            Err(SessionError::Conflict(Conflict::Deleted))
        ));
        assert_eq!(
            setup.index(layout).await.len(),
            2,
            "the store that was refused saw that there is no session"
        );
        assert_eq!(setup.store.cleanup_expired_sessions("user").await.unwrap(), 2);
        assert!(setup.index(layout).await.is_empty());

        // The first step decides.
        let session = setup.session();
        setup.store.store_session(&session).await.unwrap();
        setup.way.before(1, RECORD, Event::Cut(Outcome::NotApplied));
        assert!(matches!(
            setup.store.delete_session(&session.id).await,
            Err(SessionError::Unavailable(_))
        ));
        assert_eq!(setup.listed().await, [session.id]);
    }

    pub async fn a_clean_up_between_the_steps_of_a_store_loses_nothing(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let session = setup.session();
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async |other| {
                assert_eq!(
                    other.cleanup_expired_sessions("user").await.unwrap(),
                    1,
                    "it saw no session"
                )
            }),
        );
        setup.store.store_session(&session).await.unwrap();
        assert_eq!(setup.index(layout).await, [session.id.as_str()]);

        let batch = [setup.session(), setup.session()];
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async |other| {
                assert!(other.cleanup_expired_sessions("user").await.unwrap() > 0)
            }),
        );
        assert!(setup.store.batch_store_sessions(&batch).await.is_ok());
        assert_eq!(setup.listed().await.len(), 3);
    }

    pub async fn a_clean_up_that_was_overtaken_by_a_store_takes_nothing_out(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let session = setup.session();
        // An id without a session, as an interrupted store leaves it.
        setup.way.before(1, RECORD, Event::Cut(Outcome::NotApplied));
        setup.store.store_session(&session).await.unwrap_err();
        assert_eq!(setup.index(layout).await, [session.id.as_str()]);
        let stored = session.clone();
        // The second command on the index removes the id; the first has read it, and between them
        // no session was found.
        setup.way.before(
            2,
            INDEX,
            setup.meanwhile(async move |other| other.store_session(&stored).await.unwrap()),
        );
        assert_eq!(setup.store.cleanup_expired_sessions("user").await.unwrap(), 0);
        assert_eq!(setup.listed().await, [session.id.as_str()]);
        // Its protection ends after a minute, and then it is an ordinary id.
        assert!(setup.other.delete_session(&session.id).await.unwrap());
        assert!(setup.index(layout).await.is_empty());
    }

    pub async fn a_step_that_is_cut_off_is_taken_again(setup: Setup, layout: IndexLayout) {
        let session = setup.session();
        // The record may be written: the same change again finds out.
        setup.way.before(1, RECORD, Event::Cut(Outcome::MaybeApplied));
        setup.store.store_session(&session).await.unwrap();
        assert_eq!(setup.index(layout).await, [session.id.as_str()]);

        // A clean-up between the steps removes the id, and then the step that would list it again
        // is cut off.
        let (session, way) = (setup.session(), setup.way.clone());
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async move |other| {
                other.cleanup_expired_sessions("user").await.unwrap();
                way.before(1, INDEX, Event::Cut(Outcome::NotApplied));
            }),
        );
        setup.store.store_session(&session).await.unwrap();
        assert!(setup.index(layout).await.contains(&session.id));
    }

    pub async fn a_log_out_between_the_steps_of_a_create_ends_it(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let session = setup.session();
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async |other| {
                assert_eq!(
                    other.delete_user_sessions("user").await.unwrap(),
                    0,
                    "none is there yet"
                );
            }),
        );
        assert!(matches!(
            setup.store.create_session(&session).await,
            Err(SessionError::Conflict(Conflict::Deleted))
        ));
        assert!(setup.index(layout).await.is_empty() && setup.listed().await.is_empty());
        // After the record was written: it ends with the others.
        setup.store.create_session(&setup.session()).await.unwrap();
        assert_eq!(setup.other.delete_user_sessions("user").await.unwrap(), 1);
        assert!(setup.index(layout).await.is_empty());
    }

    pub async fn a_session_that_is_not_listed_is_listed_again_by_its_use(
        setup: Setup,
        layout: IndexLayout,
    ) {
        let session = setup.session();
        setup.store.store_session(&session).await.unwrap();
        // A failover may lose the index: every write lists the session again.
        let lose_index =
            async || assert_eq!(setup.other.client().del(["user_sessions:user"]).await.unwrap(), 1);
        lose_index().await;
        setup.store.update_session(&session).await.unwrap();
        assert_eq!(setup.index(layout).await, [session.id.as_str()]);
        lose_index().await;
        setup.store.set_ttl(&session.id, 2 * HOUR).await.unwrap();
        assert_eq!(setup.listed().await, [session.id.as_str()]);
        lose_index().await;
        setup.store.store_session(&session).await.unwrap();
        assert_eq!(setup.listed().await, [session.id]);
    }

    pub async fn a_store_that_is_refused_leaves_no_id(setup: Setup, layout: IndexLayout) {
        let mut session = setup.session();
        session.user_id = "owner".into();
        setup.store.store_session(&session).await.unwrap();
        let mut taken = session.clone();
        taken.user_id = "user".into();
        for result in
            [setup.store.store_session(&taken).await, setup.store.create_session(&taken).await]
        {
            assert!(matches!(
                result,
                Err(SessionError::Conflict(Conflict::UserChanged | Conflict::Exists))
            ));
            assert!(setup.index(layout).await.is_empty());
        }
        // Cut off before it could be removed: it is counted, ends no session, and a clean-up
        // removes it.
        setup.way.before(2, RECORD, Event::Cut(Outcome::NotApplied));
        setup.store.store_session(&taken).await.unwrap_err();
        assert_eq!(setup.other.list_sessions("user").await.unwrap().corrupt, 1);
        assert_eq!(setup.store.delete_user_sessions("user").await.unwrap(), 0);
        assert!(setup.store.exists(&session.id).await.unwrap());
        assert!(setup.index(layout).await.is_empty());
        setup.way.before(2, RECORD, Event::Cut(Outcome::NotApplied));
        setup.store.store_session(&taken).await.unwrap_err();
        assert_eq!(setup.store.cleanup_expired_sessions("user").await.unwrap(), 1);
        assert!(setup.listed().await.is_empty());
        assert_eq!(setup.other.list_sessions("owner").await.unwrap().sessions.len(), 1);
    }

    pub async fn a_delete_between_the_steps_of_a_store_wins(setup: Setup, layout: IndexLayout) {
        let session = setup.session();
        let id = session.id.clone();
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async move |other| assert!(other.delete_session(&id).await.is_ok())),
        );
        assert!(matches!(
            setup.store.store_session(&session).await,
            Err(SessionError::Conflict(Conflict::Deleted))
        ));
        assert!(setup.index(layout).await.is_empty());
        // After the record was written: the store was done, and the delete came later.
        let session = setup.session();
        setup.store.store_session(&session).await.unwrap();
        let id = session.id.clone();
        setup.way.before(
            1,
            RECORD,
            setup.meanwhile(async move |other| assert!(other.delete_session(&id).await.is_ok())),
        );
        assert!(matches!(setup.store.touch(&session.id).await, Err(SessionError::NotFound)));
        assert!(!setup.store.exists(&session.id).await.unwrap());
        assert!(setup.index(layout).await.is_empty());
    }
}

#[tokio::test]
async fn migration_between_the_steps_of_a_store_is_reported() {
    let setup = setup(IndexLayout::JsonArray).await;
    setup.store.store_session(&setup.session()).await.unwrap();
    let session = setup.session();
    setup.way.before(
        1,
        RECORD,
        setup.meanwhile(async |other| {
            assert!(other.index_layout(IndexLayout::SortedSet).migrate_index("user").await.unwrap())
        }),
    );
    let error = setup.store.store_session(&session).await.unwrap_err();
    assert!(error.maybe_applied(), "{error}: it is stored, and not listed");
    // The store with the new layout lists it.
    let sorted = setup.store.clone().index_layout(IndexLayout::SortedSet);
    sorted.store_session(&session).await.unwrap();
    assert_eq!(sorted.list_sessions("user").await.unwrap().sessions.len(), 2);
}
