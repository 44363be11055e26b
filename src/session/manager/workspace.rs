//! Directories of sessions: `root/<user>/<session>`. Without a file system the path is kept as data
//! only.

use crate::platform;
use crate::session::error::SessionError;
use crate::session::id;
use crate::session::redacted_id::redacted_id;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directories of sessions.
#[derive(Clone)]
pub(super) struct Workspaces {
    /// `None`: no directories.
    root: Option<PathBuf>,
}

impl Workspaces {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: Some(root).filter(|root| !root.as_os_str().is_empty()) }
    }

    pub(super) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// The directory of a session; `None` without a root, and for an id that is no valid one.
    pub(super) fn path(&self, user_id: &str, session_id: &str) -> Option<PathBuf> {
        id::check(session_id).ok()?;
        Some(self.root.as_ref()?.join(component(user_id)).join(session_id))
    }

    /// The directory of a session where there can be one.
    fn files(&self, user_id: &str, session_id: &str) -> Option<PathBuf> {
        if platform::HAS_FILES { self.path(user_id, session_id) } else { None }
    }

    /// Makes the directory of a session, readable by its owner only. Blocks for a few microseconds.
    pub(super) fn create(&self, user_id: &str, session_id: &str) -> Result<(), SessionError> {
        self.files(user_id, session_id)
            .map_or(Ok(()), |path| fs::create(&path))
            .map_err(|error| SessionError::Workspace { kind: error.kind(), applied: false })
    }

    /// Removes the directory of a session with all that is in it, following no links. The path is
    /// made from the root, the user and the id; what a record says it is does not count. Takes as
    /// long as the files take, on a thread for that, and goes on when the caller gives up.
    pub(super) async fn remove(&self, user_id: &str, session_id: &str) -> Result<(), SessionError> {
        let Some(path) = self.files(user_id, session_id) else { return Ok(()) };
        let removed = platform::blocking(move || fs::remove(&path)).await;
        removed
            .unwrap_or_else(|| Err(ErrorKind::Interrupted.into()))
            .map_err(|error| SessionError::Workspace { kind: error.kind(), applied: true })
    }

    /// The same for sessions of a user, where a directory that cannot be removed is only told in
    /// the log.
    pub(super) async fn remove_all<'a>(
        &self,
        user_id: &str,
        ids: impl IntoIterator<Item = &'a String>,
    ) {
        let paths: Vec<_> =
            ids.into_iter().filter_map(|id| Some((id.clone(), self.files(user_id, id)?))).collect();
        if paths.is_empty() {
            return;
        }
        let remove = move || {
            for (id, path) in &paths {
                if let Err(error) = fs::remove(path) {
                    tracing::warn!(session = %redacted_id(id), kind = %error.kind(), "a session's directory could not be removed");
                }
            }
        };
        let _ = platform::blocking(remove).await;
    }

    /// Takes back what [`create`](Self::create) made, if nobody has put anything into it. Blocks
    /// for a few microseconds.
    pub(super) fn take_back(&self, user_id: &str, session_id: &str) {
        self.files(user_id, session_id).into_iter().for_each(|path| fs::remove_empty(&path));
    }
}

/// A safe path component for any user id: itself where it is plain, else a hash. Capitals count as
/// not plain, so that users whose names differ in case only are kept apart on every file system.
fn component(user_id: &str) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    if (1..=64).contains(&user_id.len()) && user_id.bytes().all(plain) {
        return user_id.to_owned();
    }
    format!("~{}", sha1_smol::Sha1::from(user_id).digest())
}

mod fs {
    use super::Path;
    use std::io::{Error, ErrorKind, Result};

    pub(super) fn create(path: &Path) -> Result<()> {
        refuse_link(path)?;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // The user's directory may go with another session's between the two steps that make it and
        // this one, or between being found and being looked at.
        const ATTEMPTS: usize = 100;
        let mut result = builder.create(path);
        for _ in 0..ATTEMPTS {
            match result {
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
                {
                    result = builder.create(path);
                }
                result => return result,
            }
        }
        result
    }

    pub(super) fn remove(path: &Path) -> Result<()> {
        refuse_link(path)?;
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove_parent(path);
        Ok(())
    }

    pub(super) fn remove_empty(path: &Path) {
        if refuse_link(path).is_ok() && std::fs::remove_dir(path).is_ok() {
            remove_parent(path);
        }
    }

    /// The user's directory goes with the last session; while it holds another one this fails, as
    /// it should.
    fn remove_parent(path: &Path) {
        if let Some(user) = path.parent() {
            let _ = std::fs::remove_dir(user);
        }
    }

    /// The user's directory must not lead elsewhere. (A session's own, if it is a link, is removed
    /// as a link.)
    fn refuse_link(path: &Path) -> Result<()> {
        let is_link = |path: &Path| {
            std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink())
        };
        if path.parent().is_some_and(is_link) {
            Err(Error::from(ErrorKind::NotADirectory))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_is_one_component_and_no_two_are_the_same() {
        let long = "x".repeat(300);
        let names = [
            "",
            ".",
            "..",
            "../../escape",
            "/etc",
            "a\0b",
            "User",
            "user",
            "USER",
            "ü",
            "a/b",
            "~user",
            &long,
        ];
        let components: std::collections::HashSet<_> =
            names.iter().map(|name| component(name)).collect();
        assert_eq!(components.len(), names.len());
        for part in &components {
            let safe = part.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_~".contains(&byte)
            });
            assert!(safe && (1..=64).contains(&part.len()), "{part}");
        }
        assert_eq!(component("user-123"), "user-123");
    }

    #[tokio::test]
    async fn directories_are_private_and_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let workspaces = Workspaces::new(root.to_path_buf());
        workspaces.create("../../escape", "session-1").unwrap();
        workspaces.create("../../escape", "session-2").unwrap();
        let path = workspaces.path("../../escape", "session-1").unwrap();
        assert!(path.canonicalize().unwrap().starts_with(root.canonicalize().unwrap()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(workspaces.path("user", "../x").is_none());
        workspaces.remove("../../escape", "session-1").await.unwrap();
        workspaces.remove("../../escape", "session-1").await.unwrap();
        assert!(!path.exists() && path.parent().unwrap().exists());
        workspaces.remove("../../escape", "session-2").await.unwrap();
        assert!(!path.parent().unwrap().exists());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let outside = root.join("outside");
        std::fs::create_dir_all(outside.join("session")).unwrap();
        std::fs::write(outside.join("session/kept"), "").unwrap();
        let workspaces = Workspaces::new(root.join("root"));
        workspaces.create("user", "linked").unwrap();
        let linked = workspaces.path("user", "linked").unwrap();
        std::fs::remove_dir(&linked).unwrap();
        std::os::unix::fs::symlink(outside.join("session"), &linked).unwrap();
        workspaces.remove("user", "linked").await.unwrap();
        assert!(!linked.exists());
        std::os::unix::fs::symlink(&outside, root.join("root/other")).unwrap();
        assert!(workspaces.remove("other", "session").await.is_err());
        assert!(workspaces.create("other", "new").is_err());
        assert!(outside.join("session/kept").exists());
    }
}
