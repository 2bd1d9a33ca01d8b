//! Where the socket is in the file system, and who gets to it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ControlTrouble;
use super::group::Group;
use crate::gateway::GatewayError;

/// The control socket that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SocketPlace {
    /// Its path.
    pub path: PathBuf,
    /// How much it is wanted there.
    pub wanted: Wanted,
    /// Who gets to it; `None`: its owner, and the group if there is one.
    pub mode: Option<SocketMode>,
    /// The group that it belongs to, whose members may change what the gateway does.
    pub group: Option<String>,
}

impl SocketPlace {
    /// Where the socket is if nothing is said.
    pub const USUAL: &'static str = "/run/spigate/control.sock";
}

/// How much a socket is wanted at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Somebody named it.
    Named,
    /// It is where it usually is: whoever may not write there runs without it.
    Usual,
}

/// The mode of the socket's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketMode(u32);

impl SocketMode {
    const OWNER: Self = Self(0o600);
    const GROUP: Self = Self(0o660);

    /// The mode of the directory that is made for it.
    fn of_directory(self) -> u32 {
        match self.0 & 0o077 {
            0 => 0o700,
            _ => 0o755,
        }
    }
}

impl FromStr for SocketMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err("expected a mode such as 0660".to_owned()),
        }
    }
}

/// What came of opening it.
pub(super) enum Opened {
    Socket(Bound),
    /// It may not be made there.
    Not(&'static str),
}

/// A socket that has its name in the file system, as long as this lives.
pub(super) struct Bound {
    path: PathBuf,
    listener: UnixListener,
    group: Option<Group>,
    /// The file's device and number.
    identity: (u64, u64),
    /// The directory that was made for it.
    made: Option<PathBuf>,
}

/// Makes the socket. One that a dead gateway has left is replaced.
pub(super) fn open(place: &SocketPlace) -> Result<Opened, GatewayError> {
    match bind(place) {
        Ok(bound) => Ok(Opened::Socket(bound)),
        Err(ControlTrouble::Step(_, cause))
            if place.wanted == Wanted::Usual
                && matches!(
                    cause.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
        {
            Ok(Opened::Not("it may not be made there"))
        }
        Err(trouble) => Err(trouble.at(&place.path)),
    }
}

fn bind(place: &SocketPlace) -> Result<Bound, ControlTrouble> {
    let group = match &place.group {
        None => None,
        Some(name) => {
            let found = Group::find(name);
            Some(found.ok_or_else(|| ControlTrouble::NoGroup(name.clone()))?)
        }
    };
    let mode = place.mode.unwrap_or(match group {
        Some(_) => SocketMode::GROUP,
        None => SocketMode::OWNER,
    });
    let path = &place.path;
    let made = make_directory(path, mode).map_err(ControlTrouble::step("make its directory"))?;
    let bound = see_that_nobody_has(path).and_then(|()| put_there(path, mode, group.as_ref()));
    let (listener, identity) = bound.inspect_err(|_| {
        if let Some(made) = &made {
            let _ = fs::remove_dir(made);
        }
    })?;
    Ok(Bound {
        path: path.clone(),
        listener,
        group,
        identity,
        made,
    })
}

/// Makes the directory that the socket is to be in, unless it is there.
fn make_directory(path: &Path, mode: SocketMode) -> io::Result<Option<PathBuf>> {
    let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(None);
    };
    let mut builder = fs::DirBuilder::new();
    match builder.mode(mode.of_directory()).create(directory) {
        Ok(()) => {
            // The process may have a mask of its own.
            fs::set_permissions(directory, fs::Permissions::from_mode(mode.of_directory()))?;
            Ok(Some(directory.to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether what is there, if anything is, may be replaced.
fn see_that_nobody_has(path: &Path) -> Result<(), ControlTrouble> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ControlTrouble::Step("look at it", error)),
    };
    if !is_socket {
        return Err(ControlTrouble::NotASocket);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // One that takes nobody at the moment lives all the same.
        Ok(_) => Err(ControlTrouble::InUse),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ControlTrouble::InUse),
        Err(error) => Err(ControlTrouble::Step("ask who has it", error)),
    }
}

/// Makes the socket under a name of its own, and gives it its name when its mode is right.
fn put_there(
    path: &Path,
    mode: SocketMode,
    group: Option<&Group>,
) -> Result<(UnixListener, (u64, u64)), ControlTrouble> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let aside = path.with_file_name(name);
    let _ = fs::remove_file(&aside);
    let listener = UnixListener::bind(&aside).map_err(ControlTrouble::step("make it"))?;
    let finish = || {
        if let Some(group) = group {
            std::os::unix::fs::chown(&aside, None, Some(group.gid))
                .map_err(ControlTrouble::step("give it to its group"))?;
        }
        fs::set_permissions(&aside, fs::Permissions::from_mode(mode.0))
            .map_err(ControlTrouble::step("set its mode"))?;
        let metadata = fs::symlink_metadata(&aside);
        let metadata = metadata.map_err(ControlTrouble::step("look at it"))?;
        fs::rename(&aside, path).map_err(ControlTrouble::step("put it in its place"))?;
        Ok((metadata.dev(), metadata.ino()))
    };
    let identity = finish().inspect_err(|_| {
        let _ = fs::remove_file(&aside);
    })?;
    Ok((listener, identity))
}

impl Bound {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn group(&self) -> Option<Group> {
        self.group.clone()
    }

    /// The socket as the async side has it.
    pub(super) fn listener(&self) -> Result<tokio::net::UnixListener, GatewayError> {
        let listener = self.listener.try_clone().and_then(|listener| {
            listener.set_nonblocking(true)?;
            tokio::net::UnixListener::from_std(listener)
        });
        listener.map_err(|error| ControlTrouble::Step("listen at it", error).at(&self.path))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Another may have taken its place.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(made) = &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> SocketPlace {
        let directory = std::env::temp_dir().join(format!("spigate-{name}-{}", std::process::id()));
        SocketPlace {
            path: directory.join("control.sock"),
            wanted: Wanted::Named,
            mode: None,
            group: None,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_comes_with_its_directory_and_goes_with_it() {
        let place = place("comes");
        let directory = place.path.parent().unwrap().to_owned();
        let bound = bind(&place).unwrap();
        assert_eq!((mode(&place.path), mode(&directory)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        drop(bound);
        assert!(!directory.exists());
        let open = SocketPlace {
            mode: Some("0666".parse().unwrap()),
            ..place
        };
        let _bound = bind(&open).unwrap();
        assert_eq!((mode(&open.path), mode(&directory)), (0o666, 0o755));
    }

    #[test]
    fn that_of_a_dead_gateway_is_replaced_and_that_of_a_living_one_is_not() {
        let place = place("replaced");
        let living = bind(&place).unwrap();
        assert!(matches!(bind(&place), Err(ControlTrouble::InUse)));
        let Bound { listener, .. } = &living;
        let copy = listener.try_clone().unwrap();
        drop(copy);
        // One that is dead leaves its file.
        let stale = place.path.with_file_name("stale.sock");
        drop(UnixListener::bind(&stale).unwrap());
        let place_of_dead = SocketPlace {
            path: stale.clone(),
            ..place.clone()
        };
        let bound = bind(&place_of_dead).unwrap();
        drop(bound);
        assert!(!stale.exists());
        fs::write(&stale, "").unwrap();
        assert!(matches!(
            bind(&place_of_dead),
            Err(ControlTrouble::NotASocket)
        ));
        fs::remove_file(&stale).unwrap();
        drop(living);
    }

    #[test]
    fn a_group_that_is_not_there_is_said() {
        let place = SocketPlace {
            group: Some("no-such-group-here".into()),
            ..place("group")
        };
        assert!(matches!(bind(&place), Err(ControlTrouble::NoGroup(_))));
        assert!("0888".parse::<SocketMode>().is_err() && "1777".parse::<SocketMode>().is_err());
    }
}
