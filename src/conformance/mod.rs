//! Cases that hold for every implementation, as functions that panic if they do not: for a custom
//! [`Backend`](crate::backend::Backend) or [`SessionStore`](crate::session::SessionStore).
//!
//! Each case uses separate keys and users, so cases run in parallel on one server. [`backend::run`]
//! and [`sessions::run`] run all; a macro creates a separate test for each. New cases come with new
//! versions of this crate, without a new major one.

pub mod backend;
pub mod sessions;
