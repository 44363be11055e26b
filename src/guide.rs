//! A book about `redis-rest`, a chapter for each task. The types have the reference.
//!
//! Start with [`quick_start`], or look for your question in [`how_do_i`].
//!
//! | | chapters |
//! |---|---|
//! | commands | [`commands_and_values`], [`pipelines`], [`streams_and_queues`] |
//! | failures | [`errors`], [`exactly_once`], [`failover`] |
//! | sessions | [`sessions`], [`axum`], [`outages`] |
//! | working with it | [`testing`], [`tool`], [`serverless`], [`workers`], [`security_and_proxies`], [`observability`], [`cluster_and_sentinel`], [`servers`] |
//! | moving here | [`from_redis_rs`], [`from_upstash_js`], [`from_go_store`] |
//! | reference | [`commands`], [`settings`], [`retries`], [`edge`], [`servers_reference`], [`session_tests`], [`glossary`] |

/// A module for each document. Links of the documents lead to files; the first definition of a
/// reference counts, so `rustdoc-links.md` leads to modules here, and `pictures/rustdoc/` has the
/// pictures themselves. Code that `needs` a feature is tested with that feature.
macro_rules! chapters {
    ($($name:ident $(needs $feature:literal)? = $file:literal, $types:literal $(, $picture:literal)?;)*) => {$(
        #[doc = include_str!("../docs/guide/rustdoc-links.md")]
        $(#[cfg_attr(doc, doc = include_str!($picture))])?
        #[doc = include_str!($file)]
        #[doc = concat!("\n\n", $types)]
        $(#[cfg(any(not(doctest), feature = $feature))])?
        pub mod $name {}
    )*};
}

chapters! {
    quick_start = "../docs/guide/quick-start.md", "Here: [`Client`](crate::Client), [`Config`](crate::Config).";
    how_do_i = "../docs/guide/how-do-i.md", "";
    commands_and_values = "../docs/guide/commands-and-values.md",
        "Here: [`mod@crate::cmd`], [`ToArgs`](crate::ToArgs), [`Args`](crate::Args), [`FromValue`](crate::FromValue), \
         [`Json`](crate::Json), [`Fields`](crate::Fields), [`Value`](crate::Value), [`UnixTime`](crate::UnixTime).";
    pipelines = "../docs/guide/pipelines.md",
        "Here: [`Pipeline`](crate::Pipeline), [`Transaction`](crate::Transaction), [`Replies`](crate::Replies), \
         [`Script`](crate::Script), [`Call`](crate::Call).";
    streams_and_queues needs "native" = "../docs/guide/streams-and-queues.md",
        "Here: [`cmd::stream`](crate::cmd::stream), [`cmd::list`](crate::cmd::list), [`Subscription`](crate::Subscription), \
         [`Event`](crate::Event).";
    errors = "../docs/guide/errors.md",
        "Here: [`Error`](crate::Error), [`ErrorKind`](crate::ErrorKind), [`Outcome`](crate::Outcome), \
         [`SessionError`](crate::session::SessionError).",
        "../docs/pictures/rustdoc/outcomes.svg.md";
    exactly_once = "../docs/guide/exactly-once.md",
        "Here: [`Call::exactly_once`](crate::Call::exactly_once), [`Idempotency`](crate::Idempotency), \
         [`RetryPolicy`](crate::RetryPolicy).";
    failover needs "native" = "../docs/guide/failover.md",
        "Here: [`Failover`](crate::backend::Failover), [`BreakerPolicy`](crate::BreakerPolicy).";
    sessions = "../docs/guide/sessions.md",
        "Here: [`RedisSessionStore`](crate::session::RedisSessionStore), [`SessionManager`](crate::session::SessionManager), \
         [`Session`](crate::session::Session), [`ManagerOptions`](crate::session::ManagerOptions).",
        "../docs/pictures/rustdoc/session-life.svg.md";
    outages = "../docs/guide/outages.md",
        "Here: [`Durability`](crate::session::Durability), [`Recovery`](crate::session::Recovery), \
         [`Health`](crate::session::Health), [`SessionManager::with_journal`](crate::session::SessionManager::with_journal).",
        "../docs/pictures/rustdoc/outage.svg.md";
    testing = "../docs/guide/testing.md",
        "Here: [`Client::from_fn`](crate::Client::from_fn), [`Backend`](crate::backend::Backend).";
    tool = "../docs/guide/tool.md", "", "../docs/pictures/rustdoc/terminal.svg.md";
    serverless = "../docs/guide/serverless.md", "Here: [`Client::warm_up`](crate::Client::warm_up).";
    workers = "../docs/guide/workers.md", "Here: [`Transport`](crate::backend::rest::Transport).";
    security_and_proxies needs "reqwest" = "../docs/guide/security-and-proxies.md", "Here: [`Config`](crate::Config).";
    observability needs "metrics" = "../docs/guide/observability.md", "Here: [`mod@crate::observe`].",
        "../docs/pictures/rustdoc/dashboard.svg.md";
    cluster_and_sentinel needs "native" = "../docs/guide/cluster-and-sentinel.md", "Here: [`mod@crate::backend`].";
    servers = "../docs/guide/servers.md", "Here: [`Encoding`](crate::Encoding).";
    from_redis_rs needs "native" = "../docs/guide/from-redis-rs.md", "";
    from_upstash_js = "../docs/guide/from-upstash-js.md", "";
    from_go_store = "../docs/guide/from-go-store.md", "";
    commands = "../docs/commands.md", "";
    settings = "../docs/settings.md", "Here: [`Config`](crate::Config).";
    retries = "../docs/retries.md", "Here: [`RetryPolicy`](crate::RetryPolicy).";
    edge = "../docs/edge.md", "";
    servers_reference = "../docs/servers.md", "";
    session_tests = "../docs/session-tests.md", "";
    glossary = "../docs/glossary.md", "";
}

// The tests of `redis-rest-tower` have its code.
#[cfg(not(doctest))]
chapters! {
    axum = "../docs/guide/axum.md", "Here: [`SessionManager`](crate::session::SessionManager).";
}
