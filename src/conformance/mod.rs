//! Cases that hold for every implementation, as functions that panic where they do not: for a [`Backend`](crate::backend::Backend)
//! or a [`SessionStore`](crate::session::SessionStore) of your own.
//!
//! Each case works on keys and users of its own, so cases run side by side on one server. [`backend::run`] and [`sessions::run`] run
//! all; a macro makes a test of its own from each. New cases come with new versions of this crate, without a new major one.

pub mod backend;
pub mod sessions;
