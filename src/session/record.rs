//! [`Session`], the record, in the JSON form that it shares with other services.

mod json;

use super::error::SessionError;
use super::metadata::Metadata;
use super::redacted_id::redacted_id;
use super::version::Hash;
use crate::clock;
use chrono::{DateTime, Utc};
pub(crate) use json::Members;
use json::{Member, Ordered, Raw, Time, optional, reads_as, required};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// A session.
///
/// In Redis it is one JSON object. What nobody changed goes back as it came: fields this crate does
/// not know, numbers of any size and the spelling of times are kept to the letter when a session
/// that was read is written again.
///
/// ```
/// use redis_rest::session::Session;
/// let session = Session::new("user-123").org_id("org-456").system_prompt("You are a helpful assistant");
/// let json = session.to_json().unwrap();
/// assert_eq!(Session::from_json(&json).unwrap(), session);
/// ```
#[derive(Clone)]
pub struct Session {
    /// The session's id: a random UUID unless you chose another.
    pub id: String,
    /// The user it belongs to. It cannot be changed once the session is stored.
    pub user_id: String,
    /// The organisation that the user acts for, if any. The store makes no use of it.
    pub org_id: String,
    /// The directory of the session's files, if it has one.
    pub workspace_path: String,
    /// The ids of the Model Context Protocol clients that the session uses, where it is one of an agent.
    pub mcp_client_ids: Vec<String>,
    /// The instructions to the model, where it is the session of an agent.
    pub system_prompt: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_active_at: DateTime<Utc>,
    /// Data of your own, by name.
    pub metadata: Metadata,
    /// The text it was read from, to be written back to the letter.
    original: Option<Arc<Original>>,
}

/// The JSON text of a record, its members in their order, and its hash once that was asked for.
pub(super) struct Original {
    text: String,
    members: Vec<(String, Box<RawValue>)>,
    hash: OnceLock<Hash>,
}

impl Original {
    pub(super) fn hash(&self) -> Hash {
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
    /// A new session of this user, with a random id, created now. Everything else is empty, and set by the methods below or by
    /// the fields.
    pub fn new(user_id: impl Into<String>) -> Self {
        let now = clock::utc_now();
        Self {
            id: Uuid::new_v4().to_string(),
            user_id: user_id.into(),
            org_id: String::new(),
            workspace_path: String::new(),
            mcp_client_ids: Vec::new(),
            system_prompt: String::new(),
            created_at: now,
            last_active_at: now,
            metadata: Metadata::default(),
            original: None,
        }
    }

    /// With an id of yours. Ids are not meant to be used twice.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// With the organisation that the user acts for: a tenant, a customer. The store keeps it and makes no use of it.
    #[must_use]
    pub fn org_id(mut self, org_id: impl Into<String>) -> Self {
        self.org_id = org_id.into();
        self
    }

    /// With the directory of the session's files. A [`SessionManager`](super::SessionManager) sets it by itself.
    #[must_use]
    pub fn workspace_path(mut self, path: impl Into<String>) -> Self {
        self.workspace_path = path.into();
        self
    }

    /// With the ids of the Model Context Protocol clients that the session uses, where it is one of an agent.
    #[must_use]
    pub fn mcp_client_ids<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.mcp_client_ids = ids.into_iter().map(Into::into).collect();
        self
    }

    /// With the instructions to the model, where it is the session of an agent.
    #[must_use]
    pub fn system_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.system_prompt = prompt.into();
        self
    }

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
    pub(super) fn encode(&self) -> Result<(Cow<'_, str>, Option<&Original>), SessionError> {
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
    pub(super) fn original(&self) -> Option<&Arc<Original>> {
        self.original.as_ref()
    }

    /// About how many bytes it takes in memory.
    pub(super) fn size(&self) -> usize {
        let clients = self.mcp_client_ids.iter().map(|id| id.len() + size_of::<String>());
        let metadata = self.metadata.iter().map(|(name, raw)| name.len() + raw.len() + 64);
        let texts = [&self.id, &self.user_id, &self.org_id, &self.workspace_path];
        size_of::<Self>()
            + clients.chain(metadata).sum::<usize>()
            + texts.map(String::len).iter().sum::<usize>()
            + self.system_prompt.len()
            // The text, and its members.
            + self.original.as_ref().map_or(0, |original| 2 * original.text.len())
    }

    /// Whether it can be written as JSON, without writing it if that is plain.
    ///
    /// # Errors
    /// The errors of [`to_json`](Self::to_json).
    pub(super) fn check_writable(&self) -> Result<(), SessionError> {
        match [self.created_at, self.last_active_at].iter().all(Time::can_be_written) {
            true => Ok(()),
            false => self.to_json().map(drop),
        }
    }

    /// The members to write: those that were read in their order, each as it was unless it was
    /// changed, then what is new.
    fn members(&self) -> Result<Vec<Member<'_>>, SessionError> {
        let old = self
            .original
            .as_deref()
            .map(|original| original.members.as_slice())
            .unwrap_or_default();
        let mut members = Vec::with_capacity(old.len().max(KNOWN.len()));
        for (name, raw) in old {
            let raw = match self.changed(name, raw)? {
                None => Raw::Old(raw),
                Some(new) => Raw::New(new),
            };
            members.push(Member(name, raw));
        }
        for name in KNOWN {
            let missing = !old.iter().any(|(member, _)| member == name);
            if missing && (self.original.is_none() || !self.is_empty(name)) {
                members.push(Member(name, Raw::New(self.value(name)?)));
            }
        }
        Ok(members)
    }

    /// The new value of a known member, if it is no longer what `raw` says.
    fn changed(&self, name: &str, raw: &RawValue) -> Result<Option<Box<RawValue>>, SessionError> {
        let same = match name {
            "id" => reads_as(raw, &self.id),
            "user_id" => reads_as(raw, &self.user_id),
            "org_id" => reads_as(raw, &self.org_id),
            "workspace_path" => reads_as(raw, &self.workspace_path),
            "mcp_client_ids" => reads_as(raw, &self.mcp_client_ids),
            "system_prompt" => reads_as(raw, &self.system_prompt),
            "created_at" => reads_as(raw, &Time(self.created_at)),
            "last_active_at" => reads_as(raw, &Time(self.last_active_at)),
            "metadata" => reads_as(raw, &self.metadata),
            _ => true,
        };
        if same { Ok(None) } else { self.value(name).map(Some) }
    }

    /// The value of a known member as JSON.
    fn value(&self, name: &str) -> Result<Box<RawValue>, SessionError> {
        let value = match name {
            "id" => to_raw_value(&self.id),
            "user_id" => to_raw_value(&self.user_id),
            "org_id" => to_raw_value(&self.org_id),
            "workspace_path" => to_raw_value(&self.workspace_path),
            "mcp_client_ids" => to_raw_value(&self.mcp_client_ids),
            "system_prompt" => to_raw_value(&self.system_prompt),
            "created_at" => to_raw_value(&Time(self.created_at)),
            "last_active_at" => to_raw_value(&Time(self.last_active_at)),
            _ => to_raw_value(&self.metadata),
        };
        let field = KNOWN.into_iter().find(|known| *known == name).unwrap_or("record");
        value.map_err(|_| SessionError::Unwritable { field })
    }

    /// True for a member that is as good as absent.
    fn is_empty(&self, name: &str) -> bool {
        match name {
            "org_id" => self.org_id.is_empty(),
            "workspace_path" => self.workspace_path.is_empty(),
            "mcp_client_ids" => self.mcp_client_ids.is_empty(),
            "system_prompt" => self.system_prompt.is_empty(),
            "metadata" => self.metadata.is_empty(),
            _ => false,
        }
    }
}

fn corrupt(field: &'static str) -> SessionError {
    SessionError::Corrupt { field }
}

/// As the JSON of [`Session::to_json`]; only for serializers of serde_json.
impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = self.members().map_err(S::Error::custom)?;
        Ordered(&members).serialize(serializer)
    }
}

/// As [`Session::from_json`]; only for deserializers of serde_json.
impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get()).map_err(serde::de::Error::custom)
    }
}

/// Equal when all fields are that this crate knows; what it was read from does not count.
impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.user_id == other.user_id
            && self.org_id == other.org_id
            && self.workspace_path == other.workspace_path
            && self.mcp_client_ids == other.mcp_client_ids
            && self.system_prompt == other.system_prompt
            && self.created_at == other.created_at
            && self.last_active_at == other.last_active_at
            && self.metadata == other.metadata
    }
}

impl Eq for Session {}

/// Shows everything but the id, which lets into the session and is shown as [`redacted_id`] does, and of the metadata only the
/// names.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The directory of a session has its name.
        let (id, path) = (redacted_id(&self.id).to_string(), &self.workspace_path);
        let path = if self.id.is_empty() { path.clone() } else { path.replace(&self.id, &id) };
        f.debug_struct("Session")
            .field("id", &format_args!("{id}"))
            .field("user_id", &self.user_id)
            .field("org_id", &self.org_id)
            .field("workspace_path", &path)
            .field("mcp_client_ids", &self.mcp_client_ids)
            .field("system_prompt", &self.system_prompt)
            .field("created_at", &self.created_at)
            .field("last_active_at", &self.last_active_at)
            .field("metadata", &self.metadata)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = include_str!("../../tests/fixtures/go-sessions.jsonl");

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
