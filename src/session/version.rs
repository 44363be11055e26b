//! [`Version`]: the version of a session that a store has.

mod text;

use super::change::{ChangeId, serde_as_text};
use super::error::SessionError;
use super::marks::Marks;
use super::record::Original;
use super::store::{Mode, TtlRule, Write};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
pub(super) use text::Hash;
use text::{Content, Text, Ttl, fields, optional};

/// The version of a session that a store has, as it was read or written. Stays beside the
/// [`Session`](super::Session).
///
/// A session is three registers, and a version has a token for two of them: its *content* (every
/// field but the last use) and its *explicit time to live*. The third, the last use, is merged by
/// maximum and needs none.
///
/// * `==` compares the exact version: the id of the last write, and the record. A version that was
///   replaced does not return.
/// * [`same_content`](Self::same_content) and [`same_ttl`](Self::same_ttl) compare the tokens. A
///   use changes the exact version, and neither token.
/// * A record that another service wrote by a plain `SET` is a version of its own, unless it is the
///   very text that was there.
///
/// `Display` and `FromStr` write and read a version, for a journal.
#[derive(Clone)]
pub struct Version {
    /// The last write of this crate.
    write: Option<ChangeId>,
    record: Record,
    /// The content token that the last write left.
    content: Option<Content>,
    left: Left,
    ttl: Option<Ttl>,
    marks: Marks,
}

/// The record as the last write of this crate left it that wrote the record, too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Left {
    hash: Option<Hash>,
    write: Option<ChangeId>,
}

/// The record that a version is of.
#[derive(Clone)]
enum Record {
    /// A store that nobody else writes to: a record changes by writes only.
    Untracked,
    Hash(Hash),
    /// Hashed when that is asked for: most versions are read and never compared.
    Text(Arc<Original>),
}

impl Version {
    /// The version that a write makes where no session is. For stores that nobody else writes to.
    pub fn created(write: &Write<'_>) -> Self {
        let marks = match write.mode {
            Mode::Create { marks, .. } => marks.clone(),
            Mode::Replace(_) => Marks::default(),
        };
        let mut version = Self::unwritten(Record::Untracked, marks).replaced(write);
        version.content = Some(Content::Change(write.id));
        // The first time to live is nobody's, unless it is explicit.
        version.ttl = version.ttl.filter(|ttl| ttl.explicit);
        version
    }

    /// The version that a write makes of this one. A write that changes no content hands the
    /// content token on.
    pub fn replaced(&self, write: &Write<'_>) -> Self {
        Self {
            record: Record::Untracked,
            content: if write.content { Some(Content::Change(write.id)) } else { self.content() },
            left: Left { hash: None, write: Some(write.id) },
            ..self.moved(write)
        }
    }

    /// The version that a write makes of this one that leaves the record alone, whoever wrote that
    /// since.
    pub(super) fn moved(&self, write: &Write<'_>) -> Self {
        let token = |explicit| Some(Ttl { change: write.id, explicit });
        let ttl = match write.ttl {
            TtlRule::Keep | TtlRule::Slide(_) => self.ttl,
            TtlRule::Set(_) => token(true),
            TtlRule::Restart(_) => token(false),
        };
        Self { write: Some(write.id), ttl, ..self.clone() }
    }

    /// This version, whose record a write left with this hash.
    pub(super) fn with_hash(self, hash: Hash) -> Self {
        let left = Left { hash: Some(hash), ..self.left };
        Self { record: Record::Hash(hash), left, ..self }
    }

    /// True for a version that holds the hash of the record, and not its text.
    pub(super) fn is_hashed(&self) -> bool {
        matches!(self.record, Record::Hash(_))
    }

    /// True if this is the record that was read.
    pub(super) fn is_of_record(&self, original: &Original) -> bool {
        matches!(&self.record, Record::Text(record) if std::ptr::eq(record.as_ref(), original))
    }

    /// The version of a record that was read, and of what its meta key says. A meta key that cannot
    /// be read counts as none.
    pub(super) fn read(record: Arc<Original>, meta: Option<&str>) -> Self {
        let record = Record::Text(record);
        let read = meta.and_then(fields).and_then(|fields| Self::of_fields(fields, record.clone()));
        read.unwrap_or_else(|| Self::unwritten(record, Marks::default()))
    }

    /// The version of a record that no write of this crate has touched.
    fn unwritten(record: Record, marks: Marks) -> Self {
        let left = Left { hash: None, write: None };
        Self { write: None, record, content: None, left, ttl: None, marks }
    }

    /// A version from the fields `v c p s m` and another. Scripts look at the first alone to tell
    /// whether a meta key can be read.
    fn of_fields([v, c, p, s, m, _]: [&str; 6], record: Record) -> Option<Self> {
        let write = optional(v, ChangeId::parse)?;
        let (hash, left_by) = match s.split_once('@') {
            Some((hash, left_by)) => (hash, ChangeId::parse(left_by)),
            None => (s, write),
        };
        Some(Self {
            write,
            record,
            content: Content::parse(c),
            left: Left { hash: Hash::parse(hash), write: left_by },
            ttl: Ttl::parse(p),
            marks: Marks::parse(m).unwrap_or_default(),
        })
    }

    /// The fields `v c p s m` of the meta key that a write leaves, for a script to add `d`.
    pub(super) fn meta(&self) -> String {
        let Self { write, content, ttl, left, marks, .. } = self;
        let (write, content, ttl, hash) = (Text(write), Text(content), Text(ttl), Text(&left.hash));
        if left.write == self.write {
            return format!("{write} {content} {ttl} {hash} {marks}");
        }
        format!("{write} {content} {ttl} {hash}@{} {marks}", Text(&left.write))
    }

    /// The last write, as text; empty if there was none.
    pub(super) fn write_text(&self) -> String {
        Text(&self.write).to_string()
    }

    /// The hash of the record; `None` in a store that nobody else writes to.
    pub(super) fn hash(&self) -> Option<Hash> {
        match &self.record {
            Record::Untracked => None,
            Record::Hash(hash) => Some(*hash),
            Record::Text(text) => Some(text.hash()),
        }
    }

    fn content(&self) -> Option<Content> {
        match self.hash() {
            hash if hash == self.left.hash => self.content,
            Some(hash) => Some(Content::Foreign(hash, self.left.write)),
            None => self.content,
        }
    }

    /// True if both have the same content, whoever used the session since.
    pub fn same_content(&self, other: &Self) -> bool {
        self.content() == other.content()
    }

    /// True if both have the same explicit time to live, or both none.
    pub fn same_ttl(&self, other: &Self) -> bool {
        self.ttl == other.ttl
    }

    /// True if the last write was this change, and the record is as it left it.
    pub fn is_of(&self, change: ChangeId) -> bool {
        self.write == Some(change) && self.hash() == self.left.hash
    }

    /// True if the content is that of this change.
    pub fn has_content(&self, change: ChangeId) -> bool {
        self.content() == Some(Content::Change(change))
    }

    /// True if the time to live is that of this change.
    pub fn has_ttl(&self, change: ChangeId) -> bool {
        self.ttl.is_some_and(|ttl| ttl.change == change)
    }

    /// True if this write was executed, and its content or time to live is there, whoever used the
    /// session since.
    pub fn has(&self, write: &Write<'_>) -> bool {
        match (write.mode, write.ttl) {
            (Mode::Create { .. }, _) => self.has_content(write.id),
            _ if write.content => self.has_content(write.id),
            (_, TtlRule::Set(_) | TtlRule::Restart(_)) => self.has_ttl(write.id),
            _ => self.is_of(write.id),
        }
    }

    /// True if the time to live is an explicit one, which uses do not slide.
    pub fn has_explicit_ttl(&self) -> bool {
        self.ttl.is_some_and(|ttl| ttl.explicit)
    }

    /// The log-outs that the session's creator knew.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }
}

/// Equal if the last write and the record are the same.
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        let same_text = match (&self.record, &other.record) {
            (Record::Text(one), Record::Text(two)) => Arc::ptr_eq(one, two),
            _ => false,
        };
        self.write == other.write && (same_text || self.hash() == other.hash())
    }
}

impl Eq for Version {}

/// The fields `v c p s m` of the meta key, and the hash of the record.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.meta(), Text(&self.hash()))
    }
}

impl FromStr for Version {
    type Err = SessionError;

    fn from_str(text: &str) -> Result<Self, SessionError> {
        let version = || {
            let fields = fields(text)?;
            let record = optional(fields[5], Hash::parse)?.map_or(Record::Untracked, Record::Hash);
            // Exactly what a version writes.
            Self::of_fields(fields, record).filter(|version| version.to_string() == text)
        };
        version().ok_or(SessionError::Corrupt { field: "version" })
    }
}

serde_as_text!(Version);

/// Shows the last write only.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", Text(&self.write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn original(session: &Session) -> Arc<Original> {
        let read = Session::from_json(session.to_json().unwrap()).unwrap();
        Arc::clone(read.original().unwrap())
    }

    #[test]
    fn tokens_follow_the_kind_of_write() {
        let session = Session::new("user").org_id("org");
        let write = |version, content, ttl| {
            let mode = Mode::Replace(version);
            Write { id: ChangeId::new(), session: &session, mode, content, ttl }
        };
        let (id, marks) = (ChangeId::new(), Marks::from_iter([ChangeId::new()]));
        let mode = Mode::Create { marks: &marks, reuse: false };
        let create = Write { id, session: &session, mode, content: true, ttl: TtlRule::Keep };
        let new = Version::created(&create);
        assert!(new.is_of(id) && new.has_content(id) && !new.has_explicit_ttl());
        assert_eq!(*new.marks(), marks);

        let use_of_it = write(&new, false, TtlRule::Slide(HOUR));
        let used = new.replaced(&use_of_it);
        assert!(used.is_of(use_of_it.id) && used != new, "exactly another version");
        assert!(used.same_content(&new) && used.same_ttl(&new) && used.has_content(id));

        let set = write(&used, false, TtlRule::Set(HOUR));
        let explicit = used.replaced(&set);
        assert!(
            explicit.has_ttl(set.id) && explicit.has_explicit_ttl() && !explicit.same_ttl(&used)
        );
        assert!(explicit.same_content(&new));
        let restart = write(&explicit, true, TtlRule::Restart(HOUR));
        let restarted = explicit.replaced(&restart);
        assert!(!restarted.has_explicit_ttl() && !restarted.same_ttl(&new), "a token of its own");
        assert!(restarted.has_content(restart.id) && restarted.marks() == &marks);
    }

    #[test]
    fn a_foreign_record_is_a_version_of_its_own() {
        let (one, two) = (Session::new("user").org_id("org"), Session::new("user").org_id("org"));
        let bare = Version::read(original(&one), None);
        assert!(bare == Version::read(original(&one), None));
        let mode = Mode::Create { marks: &Marks::default(), reuse: false };
        let create =
            Write { id: ChangeId::new(), session: &one, mode, content: true, ttl: TtlRule::Keep };
        let text = one.to_json().unwrap();
        let ours = Version::created(&create).with_hash(Hash::of(&text));
        let meta = format!("{} ", ours.meta());
        let read = Version::read(original(&one), Some(&meta));
        assert!(read == ours && read.same_content(&ours) && read.is_of(create.id));
        assert!(read != bare && !read.same_content(&bare));
        let foreign = Version::read(original(&two), Some(&meta));
        assert!(foreign != ours && !foreign.has_content(create.id) && !foreign.is_of(create.id));
        // A use hands on that the content is somebody else's.
        let mode = Mode::Replace(&foreign);
        let write =
            Write { id: ChangeId::new(), session: &two, mode, content: false, ttl: TtlRule::Keep };
        let used = foreign.replaced(&write).with_hash(Hash::of("other"));
        assert!(used.same_content(&foreign) && used != foreign);
        for version in [bare, ours, foreign, used, Version::created(&create)] {
            let again: Version = version.to_string().parse().unwrap();
            assert!(again == version && again.same_content(&version) && again.same_ttl(&version));
        }
    }

    #[test]
    fn a_meta_key_that_cannot_be_read_counts_as_none() {
        let record = original(&Session::new("user").org_id("org"));
        let bare = Version::read(Arc::clone(&record), None);
        for junk in ["", "x", "a b c d e f", "      ", "abcdefgh.1     x", "ü ü ü ü ü ü"] {
            let version = Version::read(Arc::clone(&record), Some(junk));
            assert!(junk.starts_with("abc") || version == bare, "{junk}");
        }
        for junk in ["", "x", "a b c d e f", "abcdefgh.1 abcdefgh.1   "] {
            assert!(junk.parse::<Version>().is_err(), "{junk}");
        }
    }
}
