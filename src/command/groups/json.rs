//! JSON documents (a module of Redis, and part of most REST servers).
//!
//! Values are sent as JSON by serde. A path that begins with `$` may match many places: such
//! replies are lists, one element for each. Replies that are JSON texts are read with [`Json`]:
//! `client.json_get::<Json<Vec<User>>>("user:1").path("$")`.
//!
//! ```
//! use redis_rest::{Json, cmd::{json_get, json_set}};
//! let put = json_set("user:1", "$", serde_json::json!({ "name": "Ada", "tags": ["maths"] })).nx();
//! let tags = json_get::<Json<Vec<String>>>("user:1").path("$.tags[*]");
//! # let _ = (put, tags);
//! ```

use super::string::{conditional, held};
use crate::command::declare::{calls, commands, finish, options};
use crate::command::{ArgWriter, Many, ToArg, ToArgs};
use crate::value::Json;
use serde::Serialize;

calls! {
    /// The options of `JSON.GET`: [`path`](JsonGet::path), [`indent`](JsonGet::indent),
    /// [`newline`](JsonGet::newline), [`space`](JsonGet::space).
    JsonGet;
    /// The conditions of `JSON.SET`: [`nx`](JsonSet::nx), [`xx`](JsonSet::xx).
    JsonSet = ();
    /// The option of `JSON.ARRINDEX`: [`between`](JsonArrIndex::between).
    JsonArrIndex;
}

/// Several values as JSON.
struct Jsons<'a, T>(&'a [T]);

impl<T: Serialize> ToArgs for Jsons<'_, T> {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        self.0.iter().for_each(|value| out.arg(Json(value)));
    }
}

/// Keys, paths and values as JSON.
struct Documents<'a, K, P, T>(&'a [(K, P, T)]);

impl<K: ToArg, P: ToArg, T: Serialize> ToArgs for Documents<'_, K, P, T> {
    type Count = Many;
    fn write_args(&self, out: &mut ArgWriter<'_>) {
        for (key, path, value) in self.0 {
            out.args((key, path, Json(value)));
        }
    }
}

commands! { "json", "JSON documents";
    /// Appends values to arrays; returns the new lengths.
    fn json_arrappend<R>(key: impl ToArg, path: impl ToArg, values: &[impl Serialize]) -> R = "JSON.ARRAPPEND" [key, path, ..Jsons(values)], NonIdempotent, "JSON";
    /// Returns the position of a value in arrays; -1 if it is not there.
    fn json_arrindex<R>(key: impl ToArg, path: impl ToArg, value: impl Serialize) -> R as JsonArrIndex
        = "JSON.ARRINDEX" [key, path, Json(value)], ReadOnly, "JSON";
    /// Inserts values into arrays before `index`; returns the new lengths.
    fn json_arrinsert<R>(key: impl ToArg, path: impl ToArg, index: i64, values: &[impl Serialize]) -> R
        = "JSON.ARRINSERT" [key, path, index, ..Jsons(values)], NonIdempotent, "JSON";
    /// Returns the lengths of arrays.
    fn json_arrlen<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.ARRLEN" [key, path], ReadOnly, "JSON" @ -2;
    /// Takes the element at `index` out of arrays (-1: the last); returns them.
    fn json_arrpop<R>(key: impl ToArg, path: impl ToArg, index: i64) -> R = "JSON.ARRPOP" [key, path, index], NonIdempotent, "JSON" @ -2;
    /// Keeps the elements of arrays from `start` to `stop`; returns the new lengths.
    fn json_arrtrim<R>(key: impl ToArg, path: impl ToArg, start: i64, stop: i64) -> R = "JSON.ARRTRIM" [key, path, start, stop], NonIdempotent, "JSON";
    /// Empties arrays and objects and sets numbers to 0; returns how many.
    fn json_clear(key: impl ToArg, path: impl ToArg) -> u64 = "JSON.CLEAR" [key, path], EffectIdempotent, "JSON" @ -2;
    /// Returns the bytes of memory that values take.
    fn json_debug_memory<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.DEBUG MEMORY" [key, path], ReadOnly, "JSON" @ -3;
    /// Deletes values; returns how many.
    fn json_del(key: impl ToArg, path: impl ToArg) -> u64 = "JSON.DEL" [key, path], ByArguments, "JSON" @ -2;
    /// The same as [`json_del`].
    fn json_forget(key: impl ToArg, path: impl ToArg) -> u64 = "JSON.FORGET" [key, path], ByArguments, "JSON" @ -2;
    /// A document, or with [`path`](JsonGet::path) parts of it, as JSON text; nil if there is none.
    fn json_get<R>(key: impl ToArg) -> Option<R> as JsonGet = "JSON.GET" [key], ReadOnly, "JSON";
    /// Merges a value into a document: objects by their names, `null` deletes.
    fn json_merge(key: impl ToArg, path: impl ToArg, value: impl Serialize) -> () = "JSON.MERGE" [key, path, Json(value)], Idempotent, "JSON";
    /// Returns a part of several documents as JSON texts, nil for missing ones.
    fn json_mget<R>(keys: impl ToArgs, path: impl ToArg) -> Vec<Option<R>> = "JSON.MGET" [..keys, path], ReadOnly, "JSON";
    /// Sets parts of several documents at once, given as keys, paths and values.
    fn json_mset(documents: &[(impl ToArg, impl ToArg, impl Serialize)]) -> () = "JSON.MSET" [..Documents(documents)], Idempotent, "JSON" @ -4;
    /// Adds to numbers; returns them as JSON text.
    fn json_numincrby<R>(key: impl ToArg, path: impl ToArg, by: f64) -> R = "JSON.NUMINCRBY" [key, path, by], NonIdempotent, "JSON";
    /// Multiplies numbers; returns them as JSON text.
    fn json_nummultby<R>(key: impl ToArg, path: impl ToArg, by: f64) -> R = "JSON.NUMMULTBY" [key, path, by], NonIdempotent, "JSON";
    /// Returns the names in objects.
    fn json_objkeys<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.OBJKEYS" [key, path], ReadOnly, "JSON" @ -2;
    /// Counts the names of objects.
    fn json_objlen<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.OBJLEN" [key, path], ReadOnly, "JSON" @ -2;
    /// Returns values as Redis values.
    fn json_resp<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.RESP" [key, path], ReadOnly, "JSON" @ -2;
    /// Sets a part of a document (`$`: all of it).
    fn json_set(key: impl ToArg, path: impl ToArg, value: impl Serialize) -> () as JsonSet = "JSON.SET" [key, path, Json(value)], EffectIdempotent, "JSON";
    /// Appends to strings; returns the new lengths.
    fn json_strappend<R>(key: impl ToArg, path: impl ToArg, text: &str) -> R = "JSON.STRAPPEND" [key, path, Json(text)], NonIdempotent, "JSON" @ -3;
    /// Returns the lengths of strings.
    fn json_strlen<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.STRLEN" [key, path], ReadOnly, "JSON" @ -2;
    /// Turns true to false and false to true; returns what they are then.
    fn json_toggle<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.TOGGLE" [key, path], NonIdempotent, "JSON";
    /// Returns the types of values.
    fn json_type<R>(key: impl ToArg, path: impl ToArg) -> R = "JSON.TYPE" [key, path], ReadOnly, "JSON" @ -2;
}

options! { JsonGet<R> on Option<R>;
    /// Selects a part; for several parts, the reply is an object with a name for each.
    fn path(path: impl ToArg) -> Option<R> = [path];
    /// Indents by this text; before [`path`](Self::path).
    fn indent(text: &str) = "INDENT" [text];
    /// Ends lines with this text; before [`path`](Self::path).
    fn newline(text: &str) = "NEWLINE" [text];
    /// Puts this text after a name; before [`path`](Self::path).
    fn space(text: &str) = "SPACE" [text];
}

options! { JsonSet on ();
    /// Only if the place is empty; returns true if it was set.
    fn nx() -> bool = "NX" [] by held;
    /// Only if the place has a value; returns true if it was set.
    fn xx() -> bool = "XX" [] by held;
}

conditional!(JsonSet);

impl<R, X> JsonArrIndex<R, X> {
    /// Searches from `start` on and before `stop` (0: to the end).
    pub fn between(self, start: i64, stop: i64) -> Self {
        Self(self.0.map(|command| command.arg(start).arg(stop)))
    }
}

finish! { JsonGet JsonSet JsonArrIndex }
