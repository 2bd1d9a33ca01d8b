//! The state file: read, written as a whole, set aside.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

use crate::gateway::watch;
use crate::state::{STANDING_AT, Standing};

/// Nobody else reads what passes in control sessions.
const MODE: u32 = 0o600;

/// The file at its place.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// One write at a time: the last of all waits for the one before.
    writing: Mutex<Writes>,
}

/// Whether more is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// It may be.
    GoOn,
    /// The last was.
    AreOver,
}

impl StateFile {
    /// That at this path.
    ///
    /// # Errors
    /// The directory is not there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        match fs::metadata(watch::directory(&path))?.is_dir() {
            true => Ok(Self {
                path,
                writing: Mutex::new(Writes::GoOn),
            }),
            false => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> &Path {
        watch::directory(&self.path)
    }

    /// What is in it; `None`: it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let opened = OpenOptions::new().read(true).open(&self.path);
        let mut file = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets)?;
        Ok(Some(octets))
    }

    /// Puts these octets in its place. They are on the disk then, and those before are
    /// gone; or those before are still there. What is written at rest is the last: who
    /// comes late with something older changes nothing.
    ///
    /// # Errors
    /// Those before are still there.
    pub(super) fn write(&self, octets: &[u8], standing: Standing) -> io::Result<()> {
        let mut turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if *turn == Writes::AreOver {
            return Err(io::Error::other("the gateway has ended"));
        }
        if standing == Standing::AtRest {
            *turn = Writes::AreOver;
        }
        let beside = self.beside(".new");
        let written = write_new(&beside, octets)
            .and_then(|()| fs::rename(&beside, &self.path))
            .and_then(|()| File::open(self.directory())?.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// Says in the file that packets pass since.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn mark_as_passing(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.write_all_at(&Standing::Passing.word(), STANDING_AT as u64)?;
        file.sync_all()
    }

    /// Gives it another name, and says which.
    ///
    /// # Errors
    /// It is still where it was.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.beside(".refused");
        fs::rename(&self.path, &aside)?;
        Ok(aside)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(ending);
        name.into()
    }
}

/// Makes a file of these octets that is on the disk.
fn write_new(path: &Path, octets: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .custom_flags(nofollow)
        .open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_read_by_nobody_else() {
        let directory = tempfile("whole");
        let file = StateFile::at(&directory.join("state")).unwrap();
        assert!(file.read().unwrap().is_none());
        for octets in [&[1; 10_000][..], &[2; 10]] {
            file.write(octets, Standing::Passing).unwrap();
            assert_eq!(file.read().unwrap().unwrap(), octets);
        }
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // What a crash has left is in nobody's way.
        fs::write(directory.join("state.new"), "half").unwrap();
        file.write(b"all", Standing::Passing).unwrap();
        let names = || fs::read_dir(&directory).unwrap().count();
        assert_eq!(names(), 1);
        let aside = file.set_aside().unwrap();
        assert_eq!(fs::read(&aside).unwrap(), b"all");
        assert!(file.read().unwrap().is_none());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn nothing_comes_after_the_last() {
        let directory = tempfile("last");
        let file = StateFile::at(&directory.join("state")).unwrap();
        file.write(b"last", Standing::AtRest).unwrap();
        assert!(file.write(b"late", Standing::Passing).is_err());
        assert_eq!(file.read().unwrap().unwrap(), b"last");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let directory = tempfile("full");
        let file = StateFile::at(&directory.join("state")).unwrap();
        file.write(b"before", Standing::Passing).unwrap();
        // A directory of this name is in the way, as a disk without room would be.
        fs::create_dir_all(directory.join("state.new/x")).unwrap();
        assert!(file.write(b"after", Standing::Passing).is_err());
        assert_eq!(file.read().unwrap().unwrap(), b"before");
        fs::remove_dir_all(&directory).unwrap();
        assert!(file.write(b"after", Standing::Passing).is_err());
        assert!(StateFile::at(&directory.join("state")).is_err());
    }

    fn tempfile(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("spigate-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }
}
