//! A file that one process at a time may hold. The system gives the lock back when its holder ends, however it ends, so
//! that no lock is ever left over and none has to be taken for stale.

use crate::argument::Argument;
use crate::error::{self, Code, Failure, Result};
use crate::panics;
use napi_derive::napi;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes read of what a holder left in its file.
const NOTE_BYTES: u64 = 200;

/// A file held by this process until `release`, disposal or the process's end.
#[napi]
pub struct FileLock {
    held: Option<(File, PathBuf)>,
    guarded: bool,
}

#[napi]
impl FileLock {
    /// Makes the file if there is none, takes the lock on it and writes `note` into it, for whoever finds it held.
    ///
    /// @throws code `GRU_OUTPUT_BUSY` when another holder has it, the message being that one's note; a code of the
    /// system, such as `EACCES`, when the file cannot be made.
    #[napi(constructor, catch_unwind, ts_args_type = "path: string, note: string")]
    pub fn new(path: Argument, note: Argument) -> Result<Self> {
        let (path, note) = (PathBuf::from(path.text("path")?), note.text("note")?);
        let taken = panics::catch(|| take(&path, &note)).map_err(|text| error::panicked(&text))?;
        match taken.map_err(|error| error::system(&error))? {
            Taken::Held(file) => Ok(Self { held: Some((file, path)), guarded: true }),
            Taken::Unguarded => Ok(Self { held: None, guarded: false }),
            Taken::Busy(note) => Err(Failure::new(Code::OutputBusy, note)),
        }
    }

    /// Whether others are kept out: false on a file system without locks.
    #[napi(getter, catch_unwind)]
    pub fn guarded(&self) -> bool {
        self.guarded
    }

    /// Gives the lock back and removes the file. Idempotent.
    #[napi(catch_unwind)]
    pub fn release(&mut self) {
        let Some((file, path)) = self.held.take() else { return };
        give_back(file, &path);
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        self.release();
    }
}

/// What became of an attempt.
enum Taken {
    Held(File),
    /// Another holder's note.
    Busy(String),
    /// The file system has no locks.
    Unguarded,
}

fn take(path: &Path, note: &str) -> io::Result<Taken> {
    if path.is_symlink() {
        // What a link leads to may be anyone's, and the note would replace it.
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} is a link", path.display())));
    }
    loop {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut note = Vec::new();
                // Where locks keep others from reading, the note stays unknown.
                let _ = file.take(NOTE_BYTES).read_to_end(&mut note);
                return Ok(Taken::Busy(String::from_utf8_lossy(&note).into_owned()));
            }
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                drop(file);
                let _ = std::fs::remove_file(path);
                return Ok(Taken::Unguarded);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The holder before may have removed the file between our opening and locking it: then another process can
        // make and hold a new one, and this lock keeps nobody out.
        if !same_file(&file, path) {
            continue;
        }
        file.set_len(0)?;
        file.write_all(note.as_bytes())?;
        return Ok(Taken::Held(file));
    }
}

fn has_no_locks(error: &io::Error) -> bool {
    /// `ENOLCK` of Linux and of the BSDs, macOS among them.
    const NO_LOCKS: [i32; 2] = [37, 77];
    error.kind() == ErrorKind::Unsupported
        || cfg!(unix) && error.raw_os_error().is_some_and(|code| NO_LOCKS.contains(&code))
}

/// Whether the file of this name is the one that is open.
#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |facts: std::fs::Metadata| (facts.dev(), facts.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

/// What [`open`] has open elsewhere cannot be removed.
#[cfg(not(unix))]
fn same_file(_file: &File, _path: &Path) -> bool {
    true
}

/// Removes the file and ends the lock on it.
#[cfg(unix)]
fn give_back(file: File, path: &Path) {
    // While the lock is held, nobody else can hold a file of this name: so it is ours that is removed, unless someone
    // put another in its place.
    if same_file(&file, path) {
        let _ = std::fs::remove_file(path);
    }
}

/// Ends the lock and removes the file, which stays where someone else has opened it since: it is theirs then.
#[cfg(not(unix))]
fn give_back(file: File, path: &Path) {
    drop(file);
    let _ = std::fs::remove_file(path);
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        // FILE_SHARE_READ and FILE_SHARE_WRITE, without FILE_SHARE_DELETE: nobody may remove the file while it is open.
        options.share_mode(1 | 2);
    }
    options.open(path)
}
