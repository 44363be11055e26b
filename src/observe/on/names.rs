//! Names of commands as labels: those of the command table and a few more, so that their number is
//! bounded.

use super::super::{name_of, table as metrics};
use super::{ByKind, place_of};
use crate::command::{Command, groups, table};
use crate::error::{ErrorKind, Outcome};
use ::metrics::{Key, Label};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// The name of a call as a label.
#[derive(Clone, Copy)]
pub(in super::super) struct Name(&'static Keys);

/// The keys of one name.
struct Keys {
    /// By outcome; the first is for successful calls.
    calls: [Key; 4],
    went_well: Key,
    failed: ByKind,
}

/// Keys are made when a command is first used: most commands never are.
type Place = OnceLock<Box<Keys>>;

static DECLARED: LazyLock<HashMap<&'static str, Place>> =
    LazyLock::new(|| groups::table().map(|row| (row.command, Place::new())).collect());

thread_local! {
    static LAST: Cell<Option<(&'static str, Name)>> = const { Cell::new(None) };
}

static OTHER: Place = Place::new();
static PIPELINE: Place = Place::new();
static TRANSACTION: Place = Place::new();

impl Name {
    /// Returns the name in the command table, of one word or of two; for an unknown command
    /// `other`, since its name may be anything.
    pub(in super::super) fn of(command: &Command) -> Self {
        // Usually that of the previous call: a search costs more than a comparison.
        if let Some((last, name)) = LAST.get()
            && command.is(last)
        {
            return name;
        }
        let found = table::find(command).and_then(|row| DECLARED.get_key_value(row.command));
        let Some((&text, place)) = found else { return Self::at(&OTHER, "other") };
        let name = Self::at(place, text);
        LAST.set(Some((text, name)));
        name
    }

    pub(in super::super) fn pipeline() -> Self {
        Self::at(&PIPELINE, "PIPELINE")
    }

    pub(in super::super) fn transaction() -> Self {
        Self::at(&TRANSACTION, "MULTI")
    }

    fn at(place: &'static Place, name: &'static str) -> Self {
        Self(place.get_or_init(|| Box::new(Keys::new(name))))
    }

    pub(super) fn calls(self, failed: Option<Outcome>) -> &'static Key {
        let [ok, not_applied, applied, maybe_applied] = &self.0.calls;
        match failed {
            None => ok,
            Some(Outcome::NotApplied) => not_applied,
            Some(Outcome::Applied) => applied,
            Some(Outcome::MaybeApplied) => maybe_applied,
        }
    }

    pub(super) fn duration(self, failed: Option<ErrorKind>) -> &'static Key {
        failed.map_or(&self.0.went_well, |kind| &self.0.failed[place_of(kind)])
    }
}

impl Keys {
    fn new(name: &'static str) -> Self {
        let operation = || Label::from_static_parts("db.operation.name", name);
        let system = || Label::from_static_parts("db.system.name", "redis");
        let outcomes = ["ok", "not_applied", "applied", "maybe_applied"];
        Self {
            calls: outcomes.map(|outcome| {
                Key::from_parts(
                    metrics::CALLS,
                    vec![operation(), Label::from_static_parts("outcome", outcome)],
                )
            }),
            went_well: Key::from_parts(metrics::DURATION, vec![system(), operation()]),
            failed: ErrorKind::EACH.map(|kind| {
                let failed = Label::from_static_parts("error.type", name_of(kind));
                Key::from_parts(metrics::DURATION, vec![system(), operation(), failed])
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd;

    fn name(command: &Command) -> String {
        let key = Name::of(command).calls(None);
        key.labels()
            .find(|label| label.key() == "db.operation.name")
            .map(|label| label.value().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn only_names_of_the_table_become_labels() {
        assert_eq!(name(&cmd("get").arg("k")), "GET");
        assert_eq!(name(&cmd("script load").arg("return 1")), "SCRIPT LOAD");
        assert_eq!(name(&cmd("OBJECT ENCODING").arg("k")), "OBJECT ENCODING");
        for odd in [
            cmd("s3cret"),
            cmd("s3cret").arg("s3cret"),
            cmd("OBJECT").arg("s3cret"),
            cmd(&"x".repeat(100)),
            cmd("OBJECT"),
        ] {
            assert_eq!(name(&odd), "other");
        }
    }
}
