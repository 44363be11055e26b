//! The JSON form of a [`Session`], which it shares with other services: what was not changed is
//! written as it was read.

use super::json::{Field, Member, Ordered, Raw, Time, optional, required};
use super::{Members, Session};
use crate::session::error::SessionError;
use crate::session::version::Hash;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// The JSON text of a record, its members in their order, and its hash once that was asked for.
pub(in crate::session) struct Original {
    pub(super) text: String,
    members: Vec<(String, Box<RawValue>)>,
    hash: OnceLock<Hash>,
}

impl Original {
    pub(in crate::session) fn hash(&self) -> Hash {
        *self.hash.get_or_init(|| Hash::of(&self.text))
    }
}

/// The members that this crate knows, in the order in which a new record has them.
const KNOWN: [&str; 9] = [
    "id",
    "user_id",
    "org_id",
    "workspace_path",
    "mcp_client_ids",
    "system_prompt",
    "created_at",
    "last_active_at",
    "metadata",
];

impl Session {
    /// Reads a record.
    ///
    /// # Errors
    /// [`SessionError::Corrupt`], naming the field that cannot be read.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, SessionError> {
        let text = std::str::from_utf8(text.as_ref()).map_err(|_| corrupt("record"))?;
        let Members(members) = serde_json::from_str(text).map_err(|_| corrupt("record"))?;
        Self::from_members(Original { text: text.to_owned(), members, hash: OnceLock::new() })
    }

    fn from_members(original: Original) -> Result<Self, SessionError> {
        let known = |name: &'static str| -> Result<Option<&RawValue>, SessionError> {
            let mut found = original.members.iter().filter(|(member, _)| member == name);
            match (found.next(), found.next()) {
                (first, None) => Ok(first.map(|(_, raw)| raw.as_ref())),
                // Which of two would count depends on the reader, so neither does.
                (_, Some(_)) => Err(corrupt(name)),
            }
        };
        Ok(Self {
            id: required(known("id")?, "id")?,
            user_id: required(known("user_id")?, "user_id")?,
            org_id: optional(known("org_id")?, "org_id")?,
            workspace_path: optional(known("workspace_path")?, "workspace_path")?,
            mcp_client_ids: optional(known("mcp_client_ids")?, "mcp_client_ids")?,
            system_prompt: optional(known("system_prompt")?, "system_prompt")?,
            created_at: required::<Time>(known("created_at")?, "created_at")?.0,
            last_active_at: required::<Time>(known("last_active_at")?, "last_active_at")?.0,
            metadata: optional(known("metadata")?, "metadata")?,
            original: Some(Arc::new(original)),
        })
    }

    /// The record as JSON. One that was read and not changed comes out to the letter.
    ///
    /// # Errors
    /// [`SessionError::Unwritable`], naming the field: a time that was set to a year outside of 0
    /// to 9999.
    pub fn to_json(&self) -> Result<String, SessionError> {
        self.encode().map(|(text, _)| text.into_owned())
    }

    /// The text as JSON, and the text that it was read from if it is that.
    pub(in crate::session) fn encode(
        &self,
    ) -> Result<(Cow<'_, str>, Option<&Original>), SessionError> {
        let members = self.members()?;
        let same = |(new, old): (&Member<'_>, &(String, Box<RawValue>))| {
            new.0 == old.0 && new.1.get() == old.1.get()
        };
        let original = self.original.as_deref().filter(|original| {
            members.len() == original.members.len()
                && members.iter().zip(&original.members).all(same)
        });
        if let Some(original) = original {
            return Ok((Cow::Borrowed(&original.text), Some(original)));
        }
        let text = serde_json::to_string(&Ordered(&members));
        let text = text.map_err(|_| SessionError::Unwritable { field: "record" })?;
        Ok((Cow::Owned(text), None))
    }

    /// The text it was read from; `None` for a session that was made here.
    pub(in crate::session) fn original(&self) -> Option<&Arc<Original>> {
        self.original.as_ref()
    }

    /// Whether it can be written as JSON, without writing it if that is plain.
    ///
    /// # Errors
    /// The errors of [`to_json`](Self::to_json).
    pub(in crate::session) fn check_writable(&self) -> Result<(), SessionError> {
        match [self.created_at, self.last_active_at].iter().all(Time::can_be_written) {
            true => Ok(()),
            false => self.to_json().map(drop),
        }
    }

    /// The members to write: those that were read in their order, each as it was unless it was
    /// changed, then what is new.
    pub(super) fn members(&self) -> Result<Vec<Member<'_>>, SessionError> {
        let old = self.original.as_deref().map_or(&[][..], |original| &original.members);
        let mut members = Vec::with_capacity(old.len().max(KNOWN.len()));
        for (name, raw) in old {
            let same = self.with_field(name, |field| field.reads_as(raw)).unwrap_or(true);
            let raw = if same { Raw::Old(raw) } else { Raw::New(self.value(name)?) };
            members.push(Member(name, raw));
        }
        for name in KNOWN {
            let missing = !old.iter().any(|(member, _)| member == name);
            let empty = || self.with_field(name, |field| field.is_empty()).unwrap_or(true);
            if missing && (self.original.is_none() || !empty()) {
                members.push(Member(name, Raw::New(self.value(name)?)));
            }
        }
        Ok(members)
    }

    /// The value of a known member as JSON.
    fn value(&self, name: &str) -> Result<Box<RawValue>, SessionError> {
        let value = self.with_field(name, |field| field.write()).and_then(Result::ok);
        let field = KNOWN.into_iter().find(|known| *known == name).unwrap_or("record");
        value.ok_or(SessionError::Unwritable { field })
    }

    /// Calls `act` with the field of a known member.
    fn with_field<R>(&self, name: &str, act: impl FnOnce(&dyn Field) -> R) -> Option<R> {
        Some(match name {
            "id" => act(&self.id),
            "user_id" => act(&self.user_id),
            "org_id" => act(&self.org_id),
            "workspace_path" => act(&self.workspace_path),
            "mcp_client_ids" => act(&self.mcp_client_ids),
            "system_prompt" => act(&self.system_prompt),
            "created_at" => act(&Time(self.created_at)),
            "last_active_at" => act(&Time(self.last_active_at)),
            "metadata" => act(&self.metadata),
            _ => return None,
        })
    }
}

fn corrupt(field: &'static str) -> SessionError {
    SessionError::Corrupt { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = include_str!("../../../tests/fixtures/go-sessions.jsonl");

    #[test]
    fn records_of_another_service_go_back_to_the_letter() {
        for line in RECORDS.lines() {
            assert_eq!(Session::from_json(line).unwrap().to_json().unwrap(), line);
        }
    }

    #[test]
    fn a_change_touches_only_what_was_changed() {
        for line in RECORDS.lines() {
            let mut session = Session::from_json(line).unwrap();
            session.system_prompt = "new".into();
            let old = serde_json::from_str::<Members>(line).unwrap().0;
            let new = serde_json::from_str::<Members>(&session.to_json().unwrap()).unwrap().0;
            assert_eq!(old.len(), new.len());
            for ((old_name, old), (name, raw)) in old.iter().zip(&new) {
                assert_eq!(old_name, name);
                if name != "system_prompt" {
                    assert_eq!(old.get(), raw.get());
                }
            }
        }
        let mut session = Session::from_json(RECORDS.lines().nth(1).unwrap()).unwrap();
        session.metadata.insert("seen", true).unwrap();
        assert!(
            session
                .to_json()
                .unwrap()
                .contains(r#"{"n":9007199254740993,"plan":"pro","seen":true}"#)
        );
        assert!(session.to_json().unwrap().contains(r#""added_later":{"by":"a newer service"}"#));
    }

    #[test]
    fn a_new_record_has_every_field_of_the_format() {
        let json: serde_json::Value =
            serde_json::from_str(&Session::new("u").org_id("o").to_json().unwrap()).unwrap();
        let names: Vec<_> = KNOWN.iter().filter(|name| json.get(name).is_some()).collect();
        assert_eq!(names.len(), KNOWN.len());
        assert_eq!(json["mcp_client_ids"], serde_json::json!([]));
        assert_eq!(json["metadata"], serde_json::json!({}));
        assert!(json["created_at"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_time_that_nobody_could_read_is_not_written() {
        let good = Session::new("u").id("i").org_id("o").to_json().unwrap();
        let late = "9999-12-31T23:59:59-08:00";
        let text = format!(
            r#"{{"id":"i","user_id":"u","created_at":"{late}","last_active_at":"{late}"}}"#
        );
        let session = Session::from_json(&text).unwrap();
        assert_eq!(session.to_json().unwrap(), text);
        let mut anew = Session::from_json(&good).unwrap();
        anew.created_at = session.created_at;
        assert!(matches!(anew.to_json(), Err(SessionError::Unwritable { field: "created_at" })));
    }

    #[test]
    fn unreadable_fields_are_named() {
        let good = Session::new("u").id("i").org_id("o").to_json().unwrap();
        for (broken, wanted) in [
            ("s3cret".to_owned(), "record"),
            ("[]".to_owned(), "record"),
            (good.replace(r#""id":"i""#, r#""id":7"#), "id"),
            (good.replace(r#""id":"i","#, ""), "id"),
            (good.replace(r#""id":"i""#, r#""id":"i","id":"j""#), "id"),
            (good.replace(r#""mcp_client_ids":[]"#, r#""mcp_client_ids":[1]"#), "mcp_client_ids"),
            (good.replace(r#""created_at":""#, r#""created_at":"s3cret"#), "created_at"),
            (good.replace(r#""metadata":{}"#, r#""metadata":[]"#), "metadata"),
        ] {
            match Session::from_json(&broken) {
                Err(SessionError::Corrupt { field }) => assert_eq!(field, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        }
    }
}
