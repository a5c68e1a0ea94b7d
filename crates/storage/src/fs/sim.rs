//! A disk in memory that can lose power and fail on demand.
//!
//! What was synced survives [`SimFileSystem::crash`]; of what was not, a part chosen by the seed does, as
//! on a real disk: bytes written since the last sync are kept up to some point, names made since the last
//! sync of their folder may be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{DirEntry, DirLock, DiskSpace, FileMetadata, FileSystem, HeldName, LogFile, OpenMode};
use crate::sync::Mutex;

/// The disk.
#[derive(Debug, Clone)]
pub struct SimFileSystem {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Mutex<Disk>,
}

#[derive(Debug)]
struct Disk {
    files: BTreeMap<PathBuf, Arc<Inode>>,
    dirs: BTreeSet<PathBuf>,
    /// What the folders' durable content says.
    durable_names: BTreeMap<PathBuf, Arc<Inode>>,
    /// What a journal has settled of names, and changes since, in order.
    settled_names: BTreeMap<PathBuf, Arc<Inode>>,
    journal: Vec<NameChange>,
    random: u64,
    now_ms: i64,
    /// Operations left until one fails.
    fail_after: Option<u64>,
    failing: bool,
    locks: BTreeSet<PathBuf>,
    writes: u64,
    syncs: u64,
}

/// A change of names, of which a crash leaves all or nothing.
#[derive(Debug, Clone)]
enum NameChange {
    Made(PathBuf, Arc<Inode>),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl NameChange {
    fn make(self, names: &mut BTreeMap<PathBuf, Arc<Inode>>) {
        match self {
            Self::Made(path, inode) => drop(names.insert(path, inode)),
            Self::Renamed(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
            Self::Removed(path) => drop(names.remove(&path)),
        }
    }
}

#[derive(Debug)]
struct Inode {
    content: Mutex<Content>,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    modified_ms: i64,
}

#[derive(Debug)]
struct SimFile {
    shared: Arc<Shared>,
    /// Found by its name when it is first used.
    inode: OnceLock<Arc<Inode>>,
    path: Mutex<Box<Path>>,
    writable: bool,
}

impl SimFile {
    fn inode(&self) -> io::Result<Arc<Inode>> {
        let path = self.path.lock();
        if let Some(inode) = self.inode.get() {
            return Ok(Arc::clone(inode));
        }
        let found = self.shared.disk.lock().files.get(&**path).cloned();
        let inode = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::clone(self.inode.get_or_init(|| inode)))
    }
}

#[derive(Debug)]
struct SimLock {
    shared: Arc<Shared>,
    path: PathBuf,
    released: AtomicBool,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        if !self.released.swap(true, Ordering::AcqRel) {
            self.shared.disk.lock().locks.remove(&self.path);
        }
    }
}

impl SimFileSystem {
    /// An empty disk. The seed decides what survives crashes.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            files: BTreeMap::new(),
            dirs: BTreeSet::from([PathBuf::from("/")]),
            durable_names: BTreeMap::new(),
            settled_names: BTreeMap::new(),
            journal: Vec::new(),
            random: seed.wrapping_mul(2).wrapping_add(1),
            now_ms: 0,
            fail_after: None,
            failing: false,
            locks: BTreeSet::new(),
            writes: 0,
            syncs: 0,
        };
        Self { shared: Arc::new(Shared { disk: Mutex::new(disk) }) }
    }

    /// Pulls the plug: returns the disk as the next start finds it. This one must not be used any more.
    pub fn crash(&self) -> Self {
        let mut disk = self.shared.disk.lock();
        let mut files = BTreeMap::new();
        let names: BTreeSet<PathBuf> = disk.files.keys().chain(disk.durable_names.keys()).cloned().collect();
        for name in names {
            let (now, durable) = (disk.files.get(&name).cloned(), disk.durable_names.get(&name).cloned());
            let same = matches!((&now, &durable), (Some(a), Some(b)) if Arc::ptr_eq(a, b));
            let survivor = if same || disk.chance(2) { now } else { durable };
            if let Some(inode) = survivor {
                let content = inode.content.lock().clone();
                let bytes = disk.survivor(&content);
                let content = Content { durable: bytes.clone(), bytes, modified_ms: content.modified_ms };
                files.insert(name, Arc::new(Inode { content: Mutex::new(content) }));
            }
        }
        disk.restarted(files)
    }

    /// Pulls the plug of a disk with a journal, as most have: names change in order, so that of the changes
    /// since the last sync of any folder a crash leaves the first ones. Bytes are lost as by [`Self::crash`].
    pub fn crash_in_order(&self) -> Self {
        let mut disk = self.shared.disk.lock();
        let mut names = disk.settled_names.clone();
        let kept = disk.next_random() as usize % (disk.journal.len() + 1);
        disk.journal.iter().take(kept).cloned().for_each(|change| change.make(&mut names));
        let mut files = BTreeMap::new();
        for (name, inode) in names {
            let content = inode.content.lock().clone();
            let bytes = disk.survivor(&content);
            let content = Content { durable: bytes.clone(), bytes, modified_ms: content.modified_ms };
            files.insert(name, Arc::new(Inode { content: Mutex::new(content) }));
        }
        disk.restarted(files)
    }

    /// Ends the process and not the machine: returns the disk with everything that was written. This one goes
    /// on by itself.
    pub fn kill(&self) -> Self {
        let disk = self.shared.disk.lock();
        let mut files = BTreeMap::new();
        for (name, inode) in &disk.files {
            let content = inode.content.lock().clone();
            files.insert(name.clone(), Arc::new(Inode { content: Mutex::new(content) }));
        }
        disk.restarted(files)
    }

    /// Lets the disk fail for good once it has done so many more operations.
    pub fn fail_after(&self, operations: u64) {
        self.shared.disk.lock().fail_after = Some(operations);
    }

    /// Repairs the disk.
    pub fn heal(&self) {
        let mut disk = self.shared.disk.lock();
        disk.fail_after = None;
        disk.failing = false;
    }

    /// What new files are dated.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.shared.disk.lock().now_ms = now_ms;
    }

    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.shared.disk.lock().writes
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.shared.disk.lock().syncs
    }

    /// All bytes of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.shared.disk.lock();
        disk.files.get(path).map(|inode| inode.content.lock().bytes.clone())
    }

    /// Puts a file there, durable.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut disk = self.shared.disk.lock();
        let content = Content { durable: bytes.clone(), bytes, modified_ms: disk.now_ms };
        let inode = Arc::new(Inode { content: Mutex::new(content) });
        disk.files.insert(path.to_path_buf(), Arc::clone(&inode));
        disk.durable_names.insert(path.to_path_buf(), Arc::clone(&inode));
        disk.settled_names.insert(path.to_path_buf(), inode);
    }
}

impl Disk {
    fn restarted(&self, files: BTreeMap<PathBuf, Arc<Inode>>) -> SimFileSystem {
        let next = Self {
            durable_names: files.clone(),
            settled_names: files.clone(),
            journal: Vec::new(),
            files,
            dirs: self.dirs.clone(),
            random: self.random,
            now_ms: self.now_ms,
            fail_after: None,
            failing: false,
            locks: BTreeSet::new(),
            writes: 0,
            syncs: 0,
        };
        SimFileSystem { shared: Arc::new(Shared { disk: Mutex::new(next) }) }
    }

    fn settle_names(&mut self) {
        self.settled_names = self.files.clone();
        self.journal.clear();
    }

    fn operation(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.fail_after {
            if *left == 0 {
                self.failing = true;
            } else {
                *left -= 1;
            }
        }
        if self.failing { Err(io::Error::other("the simulated disk fails")) } else { Ok(()) }
    }

    fn next_random(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.next_random().is_multiple_of(one_in)
    }

    /// What was synced, and of what was written since a part: a tail cut anywhere, sometimes with zeros or
    /// garbage where bytes did not arrive.
    fn survivor(&mut self, content: &Content) -> Vec<u8> {
        let Content { bytes, durable, .. } = content;
        let common = bytes.iter().zip(durable).take_while(|(a, b)| a == b).count();
        if bytes.len() <= durable.len() && common == bytes.len() {
            return if self.chance(2) { bytes.clone() } else { durable.clone() };
        }
        let written = bytes.len() - common;
        let kept = common + (self.next_random() as usize) % (written + 1);
        let mut survivor = bytes[..kept].to_vec();
        if kept < bytes.len() && self.chance(3) {
            let torn = (bytes.len() - kept).min(64);
            let fill = if self.chance(2) { 0 } else { 0xa5 };
            survivor.resize(kept + torn, fill);
        }
        if survivor.len() < durable.len() && common == durable.len() { durable.clone() } else { survivor }
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        let there = path.parent().is_some_and(|parent| self.dirs.contains(parent));
        if there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl LogFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let inode = self.inode()?;
        self.shared.disk.lock().operation()?;
        let content = inode.content.lock();
        let rest = content.bytes.get(position as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    /// One write, as the system does it: a crash tears it at any byte.
    fn write_all_vectored_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write_all_at(&whole, position)
    }

    fn write_all_at(&self, buf: &[u8], position: u64) -> io::Result<()> {
        assert!(self.writable, "a file opened for reading is not written");
        let inode = self.inode()?;
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.writes += 1;
        let mut content = inode.content.lock();
        let end = position as usize + buf.len();
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[position as usize..end].copy_from_slice(buf);
        content.modified_ms = disk.now_ms;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inode()?.content.lock().bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        assert!(self.writable, "a file opened for reading is not cut");
        let inode = self.inode()?;
        self.shared.disk.lock().operation()?;
        inode.content.lock().bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let inode = self.inode()?;
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.syncs += 1;
        let mut content = inode.content.lock();
        content.durable = content.bytes.clone();
        Ok(())
    }

    fn descriptor(&self) -> io::Result<Option<Arc<File>>> {
        Ok(None)
    }

    fn hold_name(&self) -> Option<HeldName<'_>> {
        Some(HeldName::new(self.path.lock()))
    }
}

impl FileSystem for SimFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.require_parent(path)?;
        let found = disk.files.get(path).cloned();
        let inode = match (found, mode) {
            (None, OpenMode::Read) => return Err(io::ErrorKind::NotFound.into()),
            (Some(inode), OpenMode::Truncate) => {
                inode.content.lock().bytes.clear();
                inode
            }
            (Some(inode), _) => inode,
            (None, _) => {
                let content = Content { modified_ms: disk.now_ms, ..Content::default() };
                let inode = Arc::new(Inode { content: Mutex::new(content) });
                disk.files.insert(path.to_path_buf(), Arc::clone(&inode));
                disk.journal.push(NameChange::Made(path.to_path_buf(), Arc::clone(&inode)));
                inode
            }
        };
        let writable = mode != OpenMode::Read;
        let (inode, path) = (OnceLock::from(inode), Mutex::new(path.into()));
        Ok(Arc::new(SimFile { shared: Arc::clone(&self.shared), inode, path, writable }))
    }

    fn open_later(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let (shared, path) = (Arc::clone(&self.shared), Mutex::new(path.into()));
        Ok(Arc::new(SimFile { shared, inode: OnceLock::new(), path, writable: true }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<FileMetadata>> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        if disk.dirs.contains(path) {
            return Ok(Some(FileMetadata { len: 0, is_dir: true, modified_ms: 0 }));
        }
        Ok(disk.files.get(path).map(|inode| {
            let content = inode.content.lock();
            FileMetadata { len: content.bytes.len() as u64, is_dir: false, modified_ms: content.modified_ms }
        }))
    }

    fn list_dir(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &PathBuf| {
            let inside = path.parent() == Some(dir);
            inside.then(|| path.file_name().map(|name| name.to_string_lossy().into_owned())).flatten()
        };
        let dirs = disk.dirs.iter().filter_map(name).map(|name| DirEntry { name, is_dir: true });
        let files = disk.files.keys().filter_map(name).map(|name| DirEntry { name, is_dir: false });
        Ok(dirs.chain(files).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        if let Some(inode) = disk.files.remove(from) {
            disk.files.insert(to.to_path_buf(), inode);
            disk.journal.push(NameChange::Renamed(from.to_path_buf(), to.to_path_buf()));
            return Ok(());
        }
        if !disk.dirs.contains(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Folders keep their content; renaming one is taken to be durable.
        let moved = |path: &PathBuf| path.strip_prefix(from).ok().map(|rest| to.join(rest));
        let dirs: BTreeSet<PathBuf> = disk.dirs.iter().map(|dir| moved(dir).unwrap_or(dir.clone())).collect();
        disk.dirs = dirs;
        for durable in [false, true] {
            let map = if durable { &mut disk.durable_names } else { &mut disk.files };
            *map = std::mem::take(map)
                .into_iter()
                .map(|(path, inode)| (moved(&path).unwrap_or(path), inode))
                .collect();
        }
        disk.settle_names();
        Ok(())
    }

    fn set_modified_ms(&self, path: &Path, modified_ms: i64) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        let inode = disk.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        inode.content.lock().modified_ms = modified_ms;
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.files.remove(path).ok_or(io::ErrorKind::NotFound)?;
        disk.journal.push(NameChange::Removed(path.to_path_buf()));
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.dirs.retain(|path| !path.starts_with(dir));
        disk.files.retain(|path, _| !path.starts_with(dir));
        disk.durable_names.retain(|path, _| !path.starts_with(dir));
        disk.settle_names();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        let inside = |path: &PathBuf| path.parent() == Some(dir);
        disk.durable_names.retain(|path, _| !inside(path));
        let names: Vec<_> = disk
            .files
            .iter()
            .filter(|(path, _)| inside(path))
            .map(|(p, i)| (p.clone(), Arc::clone(i)))
            .collect();
        disk.durable_names.extend(names);
        disk.settle_names();
        Ok(())
    }

    fn sync_all(&self, _dir: &Path) -> io::Result<()> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        disk.syncs += 1;
        for inode in disk.files.values() {
            let mut content = inode.content.lock();
            content.durable = content.bytes.clone();
        }
        disk.durable_names = disk.files.clone();
        disk.settle_names();
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let mut disk = self.shared.disk.lock();
        disk.operation()?;
        if !disk.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        let (shared, path) = (Arc::clone(&self.shared), path.to_path_buf());
        Ok(Some(Box::new(SimLock { shared, path, released: AtomicBool::new(false) })))
    }

    fn disk_space(&self, _dir: &Path) -> io::Result<DiskSpace> {
        self.shared.disk.lock().operation()?;
        Ok(DiskSpace { total_bytes: 1 << 40, usable_bytes: 1 << 39 })
    }
}
