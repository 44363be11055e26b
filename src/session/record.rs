//! [`Session`], the record.

mod json;
mod text;

use super::metadata::Metadata;
use super::redacted_id::redacted_id;
use crate::clock;
use chrono::{DateTime, Utc};
pub(crate) use json::Members;
use json::Ordered;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
pub(super) use text::Original;
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
