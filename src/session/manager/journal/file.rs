//! The file of a journal on a disk, which one process has at a time.

use crate::platform::{self, BoxFuture, Mutex};
use crate::session::manager::environment::JournalFile;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A locked file. The lock is on the file itself, so that no other name of it leads around the
/// lock.
pub(in super::super) struct DiskFile(Arc<Mutex<Open>>);

struct Open {
    file: File,
    /// The name to which a new file is renamed, with links resolved.
    path: PathBuf,
    /// Earlier files that still have other names: they stay locked.
    earlier: Vec<File>,
}

impl DiskFile {
    /// Opens or makes a file that only its owner can read, and locks it. And a reader of its
    /// content.
    ///
    /// # Errors
    /// `WouldBlock` if another process has it.
    pub(in super::super) fn open(path: &Path) -> io::Result<(Self, File)> {
        loop {
            let file = private().append(true).read(true).open(path)?;
            file.try_lock()?;
            let path = path.canonicalize()?;
            // Between opening and locking, the former owner may have replaced it.
            if is_at(&file, &path)? {
                let content = File::open(&path)?;
                let open = Open { file, path, earlier: Vec::new() };
                return Ok((Self(Arc::new(Mutex::new(open))), content));
            }
        }
    }

    fn run(
        &self,
        act: impl FnOnce(&mut Open) -> io::Result<()> + Send + 'static,
    ) -> BoxFuture<'_, io::Result<()>> {
        let open = Arc::clone(&self.0);
        // On a thread for that, which goes on if the caller is cancelled.
        let done = platform::blocking(move || act(&mut open.lock()));
        Box::pin(async move { done.await.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into())) })
    }
}

impl JournalFile for DiskFile {
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        self.run(move |open| {
            open.file.write_all(&bytes)?;
            open.file.sync_data()
        })
    }

    fn rewrite(&self, bytes: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        self.run(move |open| open.rewrite(&bytes))
    }
}

impl Open {
    fn rewrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = private().create_new(true).append(true).read(true).open(&beside)?;
        // Locked before it has the name, so that nobody else can have it.
        new.try_lock()?;
        new.write_all(bytes)?;
        new.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        let old = std::mem::replace(&mut self.file, new);
        if has_names(&old) {
            self.earlier.push(old);
        }
        // The new name is on the disk when its directory is.
        self.path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// Makes files that only their owner can read, if the system knows that.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let here = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn has_names(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().is_ok_and(|file| file.nlink() > 0)
}

/// A file that is open cannot be replaced there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(not(unix))]
fn has_names(_: &File) -> bool {
    false
}
