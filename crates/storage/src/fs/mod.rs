//! The door to the disk. Everything in this crate goes through [`FileSystem`], so that a test can
//! hold the disk, pull its plug or let it fail.

mod descriptors;
mod os;
#[cfg(any(test, feature = "test-util"))]
pub mod sim;

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, MutexGuard};

use bytes::{Bytes, BytesMut};

pub use os::OsFileSystem;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// For reading and writing; made if missing.
    ReadWrite,
    /// For writing from an empty file; made if missing.
    Truncate,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMetadata {
    /// Length in bytes; meaningless for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Time of the last change, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without its folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Room on the volume of a log directory (KIP-827).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskSpace {
    /// Size of the volume.
    pub total_bytes: i64,
    /// What a normal user may still write.
    pub usable_bytes: i64,
}

/// A file held open. Reads and writes name their position, so that no cursor is shared.
pub trait LogFile: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes; 0 means the end of the file.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `buf`.
    fn write_all_at(&self, buf: &[u8], position: u64) -> io::Result<()>;
    /// Writes all of the slices, one behind the other.
    fn write_all_vectored_at(&self, slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        for slice in slices {
            self.write_all_at(slice, position)?;
            position += slice.len() as u64;
        }
        Ok(())
    }
    /// Reserves room behind the end for what will be appended; the length stays. Room that is not to be
    /// had is no error: the write that needs it will tell.
    fn reserve(&self, _position: u64, _len: u64) {}
    /// Gives back room behind the end that was reserved.
    fn release_reserved(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts the file, or extends it by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Hands dirty pages of a part of the file to the disk and waits for them. Promises nothing: it makes a
    /// later [`Self::sync`] short, and tells no errors, which that does.
    fn write_out(&self, _position: u64, _len: u64) {}
    /// Returns once the file survives a loss of power.
    fn sync(&self) -> io::Result<()>;
    /// The open file for `sendfile`; none for a simulated one. It stays open as long as it is held, which
    /// should be no longer than it is used: descriptors are few.
    fn descriptor(&self) -> io::Result<Option<Arc<File>>>;
    /// Keeps the file from being opened under its name while that changes; none for a file that needs its
    /// name only once.
    fn hold_name(&self) -> Option<HeldName<'_>> {
        None
    }
}

/// A file's name while it, or its folder, is renamed.
#[derive(Debug)]
pub struct HeldName<'a> {
    path: MutexGuard<'a, Box<Path>>,
}

impl<'a> HeldName<'a> {
    fn new(path: MutexGuard<'a, Box<Path>>) -> Self {
        Self { path }
    }

    /// What the file is called from now on.
    pub fn change(mut self, path: &Path) {
        *self.path = path.into();
    }
}

/// Holds a `.lock` file until dropped.
pub trait DirLock: Debug + Send + Sync {}

/// A tree of files.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LogFile>>;
    /// A file that is there, for reading and writing. It need not be opened before it is used.
    fn open_later(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.open(path, OpenMode::ReadWrite)
    }
    /// What the path names; `None` if nothing.
    fn metadata(&self, path: &Path) -> io::Result<Option<FileMetadata>>;
    /// Names in a folder, in no order.
    fn list_dir(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Makes a folder and its parents.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or folder in one step, replacing a file already there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Dates the last change of a file.
    fn set_modified_ms(&self, path: &Path, modified_ms: i64) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and all in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes names added to or removed from a folder survive a loss of power.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything survive a loss of power that was done to files and folders on the volume that holds
    /// `dir`: for thousands of files one journal entry instead of thousands.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a file; `None` if another process or log manager has it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>>;
    /// Room on the volume that holds `dir`.
    fn disk_space(&self, dir: &Path) -> io::Result<DiskSpace>;
}

impl dyn FileSystem + '_ {
    /// Whether the path names something.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.metadata(path)?.is_some())
    }

    /// The whole file, or `None` if there is none.
    pub fn read_file(&self, path: &Path, max_len: u64) -> io::Result<Option<Bytes>> {
        match self.open(path, OpenMode::Read) {
            Ok(file) => {
                let len = file.len()?;
                if len > max_len {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{} has {len} bytes, more than the {max_len} it may have", path.display()),
                    ));
                }
                read_exact_at(file.as_ref(), 0, len as usize).map(Some)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a file so that a crash leaves either the old or the new content: written beside,
    /// synced, renamed over, folder synced.
    pub fn replace_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.replace_file_in_unsynced_dir(path, content)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }

    /// The same for a folder that the caller syncs afterwards: of several files, only the names are left.
    pub fn replace_file_in_unsynced_dir(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut temp = path.as_os_str().to_owned();
        temp.push(".tmp");
        let temp = Path::new(&temp);
        let file = self.open(temp, OpenMode::Truncate)?;
        file.write_all_at(content, 0)?;
        file.sync()?;
        self.rename(temp, path)
    }

    /// Removes a file that may be gone already; tells whether it was there.
    pub fn remove_file_if_exists(&self, path: &Path) -> io::Result<bool> {
        match self.remove_file(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Renames a file that may not be there.
    pub fn rename_if_exists(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match self.rename(from, to) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Reads `len` bytes, or fails with `UnexpectedEof`. Callers bound `len` by the file's length.
pub fn read_exact_at(file: &dyn LogFile, position: u64, len: usize) -> io::Result<Bytes> {
    let mut buf = BytesMut::zeroed(len);
    let read = read_full_at(file, &mut buf, position)?;
    if read < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buf.freeze())
}

/// Fills `buf` as far as the file goes and returns how far.
pub fn read_full_at(file: &dyn LogFile, buf: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(&mut buf[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
