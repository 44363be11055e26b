//! A short book: how to do things, a chapter each. The reference is with the types.

#[cfg(any(not(doctest), feature = "reqwest"))]
#[doc = include_str!("../docs/guide/quick-start.md")]
pub mod quick_start {}

#[doc = include_str!("../docs/guide/pipelines.md")]
pub mod pipelines {}

#[doc = include_str!("../docs/commands.md")]
pub mod commands {}

#[doc = include_str!("../docs/retries.md")]
pub mod retries {}

#[doc = include_str!("../docs/guide/outages.md")]
pub mod outages {}

#[doc = include_str!("../docs/guide/behind-a-proxy.md")]
pub mod behind_a_proxy {}

#[doc = include_str!("../docs/servers.md")]
pub mod servers {}

#[doc = include_str!("../docs/edge.md")]
pub mod edge {}

#[doc = include_str!("../docs/guide/from-upstash-js.md")]
pub mod from_upstash_js {}

#[cfg(any(not(doctest), feature = "native"))]
#[doc = include_str!("../docs/guide/from-redis-rs.md")]
pub mod from_redis_rs {}

#[doc = include_str!("../docs/guide/from-go-store.md")]
pub mod from_go_store {}
