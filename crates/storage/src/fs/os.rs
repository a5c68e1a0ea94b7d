use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::FallocateFlags;

use super::descriptors::{CachedFile, DESCRIPTORS};
use super::{DirEntry, DirLock, DiskSpace, FileMetadata, FileSystem, HeldName, LogFile, OpenMode};

/// The machine's own file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsFileSystem;

/// The lock of a `.lock` file: released when the descriptor is closed.
#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl DirLock for OsLock {}

/// A file that is read or written at once and let go: it keeps its descriptor until then.
#[derive(Debug)]
struct OpenFile(Arc<File>);

impl LogFile for OpenFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buf, position)
    }

    fn write_all_at(&self, buf: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(buf, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync also writes the length, which is all of the metadata a log needs.
        self.0.sync_data()
    }

    fn descriptor(&self) -> io::Result<Option<Arc<File>>> {
        Ok(Some(Arc::clone(&self.0)))
    }
}

impl LogFile for CachedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|file| file.read_at(buf, position))
    }

    fn write_all_at(&self, buf: &[u8], position: u64) -> io::Result<()> {
        self.with(|file| file.write_all_at(buf, position))
    }

    fn write_all_vectored_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.with(|file| write_all_vectored_at(file, slices, position))
    }

    fn reserve(&self, position: u64, len: u64) {
        let reserve =
            |file: &File| Ok(rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, position, len)?);
        let _ = self.with(reserve);
    }

    fn release_reserved(&self, len: u64) -> io::Result<()> {
        // A truncation to its own length gives back what lies behind the end.
        self.with(|file| file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|file| Ok(file.metadata()?.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|file| file.set_len(len))
    }

    fn write_out(&self, position: u64, len: u64) {
        let _ = self.with(|file| {
            write_out(file, position, len);
            Ok(())
        });
    }

    /// Syncs what was written through any descriptor of the file; a write that failed is told to the next
    /// descriptor, if nobody was told before.
    fn sync(&self) -> io::Result<()> {
        self.with(File::sync_data)
    }

    fn descriptor(&self) -> io::Result<Option<Arc<File>>> {
        self.file().map(Some)
    }

    fn hold_name(&self) -> Option<HeldName<'_>> {
        Some(Self::hold_name(self))
    }
}

fn write_all_vectored_at(file: &File, slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    let mut rest = slices;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::pwritev(file, rest, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl FileSystem for OsFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::ReadWrite => options.write(true).create(true).truncate(false),
            OpenMode::Truncate => options.write(true).create(true).truncate(true),
        };
        let file = DESCRIPTORS.with_room(|| options.open(path))?;
        Ok(match mode {
            OpenMode::ReadWrite => CachedFile::opened(&DESCRIPTORS, path, file),
            OpenMode::Read | OpenMode::Truncate => Arc::new(OpenFile(Arc::new(file))),
        })
    }

    fn open_later(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(CachedFile::closed(&DESCRIPTORS, path))
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<FileMetadata>> {
        match fs::metadata(path) {
            Ok(m) => {
                let modified = m.modified()?.duration_since(UNIX_EPOCH);
                let modified_ms = modified.map_or(0, |d| d.as_millis() as i64);
                Ok(Some(FileMetadata { len: m.len(), is_dir: m.is_dir(), modified_ms }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list_dir(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in DESCRIPTORS.with_room(|| fs::read_dir(dir))? {
            let entry = entry?;
            // Kafka writes no name that is not UTF-8, so such a name is not ours.
            if let Ok(name) = entry.file_name().into_string() {
                let kind = entry.file_type()?;
                // A folder may be a symbolic link to one.
                let is_link_to_dir = || fs::metadata(entry.path()).is_ok_and(|m| m.is_dir());
                let is_dir = kind.is_dir() || (kind.is_symlink() && is_link_to_dir());
                entries.push(DirEntry { name, is_dir });
            }
        }
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn set_modified_ms(&self, path: &Path, modified_ms: i64) -> io::Result<()> {
        let since = Duration::from_millis(u64::try_from(modified_ms).unwrap_or(0));
        let file = DESCRIPTORS.with_room(|| OpenOptions::new().write(true).open(path))?;
        file.set_modified(UNIX_EPOCH + since)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // A relative name such as `server.properties` has the parent "", which cannot be opened.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        DESCRIPTORS.with_room(|| File::open(dir))?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        let dir = DESCRIPTORS.with_room(|| File::open(dir))?;
        Ok(rustix::fs::syncfs(dir)?)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        lock_exclusively(file)
    }

    fn disk_space(&self, dir: &Path) -> io::Result<DiskSpace> {
        let stat = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
        Ok(DiskSpace { total_bytes: bytes(stat.f_blocks), usable_bytes: bytes(stat.f_bavail) })
    }
}

/// Takes both kinds of lock. Java's `FileChannel.tryLock` is a POSIX record lock, which keeps a live
/// Apache Kafka and us out of each other's folder but does not exclude within one process; `flock`
/// does the latter. The descriptor must not be duplicated: closing any copy drops the record lock.
fn lock_exclusively(file: File) -> io::Result<Option<Box<dyn DirLock>>> {
    use rustix::fs::{FlockOperation, fcntl_lock, flock};
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    let taken = |result: rustix::io::Result<()>| match result {
        Ok(()) => Ok(true),
        Err(e) if e == rustix::io::Errno::WOULDBLOCK || e == rustix::io::Errno::ACCESS => Ok(false),
        Err(e) => Err(io::Error::from(e)),
    };
    if !taken(flock(&file, exclusive))? || !taken(fcntl_lock(&file, exclusive))? {
        return Ok(None);
    }
    Ok(Some(Box::new(OsLock { _file: file })))
}

/// `sync_file_range`, which no safe library offers; elsewhere a sync of the whole file has to do.
#[cfg(target_os = "linux")]
fn write_out(file: &File, position: u64, len: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(position), Ok(len)) = (i64::try_from(position), i64::try_from(len)) else { return };
    let flags =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: four numbers, and a descriptor that stays open as long as `file`; no memory is passed.
    #[expect(unsafe_code)]
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), position, len, flags);
    }
}

#[cfg(not(target_os = "linux"))]
fn write_out(_: &File, _: u64, _: u64) {}
