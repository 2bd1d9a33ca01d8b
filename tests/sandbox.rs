//! What a confined gateway can no longer do. Each test confines a thread of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::{CapabilitySet, capabilities, no_new_privs};
use spigate::gateway::sandbox::{Confinement, User, confine, confine_helper, confine_worker};

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("spigate-sandbox-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("rules")).unwrap();
        fs::create_dir_all(path.join("state")).unwrap();
        fs::write(path.join("rules/office.toml"), "version = 1").unwrap();
        fs::write(path.join("secret"), "nobody's business").unwrap();
        Self(path)
    }

    fn confinement(&self) -> Confinement {
        Confinement {
            user: None,
            reads: vec![self.0.join("rules")],
            writes: vec![self.0.join("state")],
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// In a thread of its own.
fn apart(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join()).unwrap();
}

/// Confines the thread by all that there is; `None` where the kernel has less.
fn confined(confinement: &Confinement) -> Option<()> {
    let missing = confine(confinement).unwrap();
    if !missing.is_empty() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI wants it to run: {missing:?}"
        );
        eprintln!("skipped: {missing:?}");
        return None;
    }
    Some(())
}

#[test]
fn a_file_outside_its_list_and_a_new_device_are_refused() {
    let there = Directory::new("files");
    apart(|| {
        let Some(()) = confined(&there.confinement()) else {
            return;
        };
        let refused = |path: &str| File::open(path).unwrap_err().raw_os_error();
        let denied = Some(Errno::ACCESS.raw_os_error());
        assert_eq!(refused("/etc/passwd"), denied);
        assert_eq!(refused("/dev/net/tun"), denied);
        assert_eq!(refused(there.0.join("secret").to_str().unwrap()), denied);
        assert!(fs::write(there.0.join("rules/office.toml"), "").is_err());
        assert_eq!(
            fs::read_to_string(there.0.join("rules/office.toml")).unwrap(),
            "version = 1"
        );
        // What replaces a file is written beside it, and renamed.
        let (new, old) = (there.0.join("state/new"), there.0.join("state/old"));
        fs::write(&new, "saved").unwrap();
        fs::rename(&new, &old).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "saved");
        fs::remove_file(&old).unwrap();
        assert!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok());
        assert!(fs::read_to_string("/proc/self/maps").is_err());
    });
}

#[test]
fn programs_and_raw_sockets_are_refused() {
    let there = Directory::new("programs");
    apart(|| {
        let Some(()) = confined(&there.confinement()) else {
            return;
        };
        let socket = |family| rustix::net::socket(family, SocketType::DGRAM, None);
        assert_eq!(socket(AddressFamily::PACKET).unwrap_err(), Errno::PERM);
        assert!(socket(AddressFamily::UNIX).is_ok());
        // Its devices are asked for their settings by such a one.
        assert!(socket(AddressFamily::INET).is_ok());
        assert!(Command::new("/bin/true").status().is_err());
    });
}

#[test]
fn of_all_capabilities_one_is_left_and_none_to_the_packet_loop() {
    let there = Directory::new("capabilities");
    apart(|| {
        let had = capabilities(None).unwrap().permitted;
        let Some(()) = confined(&there.confinement()) else {
            return;
        };
        let left = capabilities(None).unwrap();
        assert_eq!(left.permitted, had & CapabilitySet::NET_ADMIN);
        assert_eq!(left.effective, left.permitted);
        assert!(no_new_privs().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                confine_worker().unwrap();
                let left = rustix::thread::capabilities(None);
                assert_eq!(left.unwrap_err(), Errno::PERM, "nobody asks that there");
            });
        });
        assert_eq!(capabilities(None).unwrap(), left, "the other keeps it");
    });
}

#[test]
fn the_packet_loop_reads_and_writes_what_is_open_and_opens_nothing() {
    let there = Directory::new("loop");
    let mut log = File::create(there.0.join("state/log")).unwrap();
    let mut rules = File::open(there.0.join("rules/office.toml")).unwrap();
    apart(|| {
        confine_worker().unwrap();
        let mut text = [0; 11];
        rules.read_exact(&mut text).unwrap();
        log.write_all(&text).unwrap();
        let grown: Vec<u64> = (0..1_000_000).collect();
        assert_eq!(grown.iter().sum::<u64>(), 499_999_500_000);
        let refused = File::open(there.0.join("rules/office.toml")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::PERM.raw_os_error()));
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None);
        assert_eq!(socket.unwrap_err(), Errno::PERM);
        assert!(thread::Builder::new().spawn(|| ()).is_err());
    });
    let written = fs::read_to_string(there.0.join("state/log")).unwrap();
    assert_eq!(written, "version = 1");
}

#[test]
fn the_device_helper_opens_what_makes_devices_and_nothing_else() {
    let there = Directory::new("helper");
    let rules = there.0.join("rules/office.toml");
    let (sender, receiver) = std::os::unix::net::UnixDatagram::pair().unwrap();
    apart(|| {
        let had = capabilities(None).unwrap().permitted;
        let missing = confine_helper(None).unwrap();
        if !missing.is_empty() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI wants it to run: {missing:?}"
            );
            eprintln!("skipped: {missing:?}");
            return;
        }
        let open = |path: &str| {
            let mut options = fs::OpenOptions::new();
            options.read(true).write(true).open(path)
        };
        if had.contains(CapabilitySet::NET_ADMIN) && had.contains(CapabilitySet::DAC_OVERRIDE) {
            let tun = open("/dev/net/tun").unwrap();
            rustix::io::ioctl_fionbio(&tun, true).unwrap();
        }
        let denied = Some(Errno::ACCESS.raw_os_error());
        for path in ["/dev/null", "/etc/passwd", rules.to_str().unwrap()] {
            assert_eq!(open(path).unwrap_err().raw_os_error(), denied, "{path}");
            let read = File::open(path).unwrap_err();
            assert_eq!(read.raw_os_error(), denied, "{path}");
        }
        let file = fs::write(there.0.join("state/new"), "").unwrap_err();
        assert_eq!(file.raw_os_error(), denied);
        let socket = |family| rustix::net::socket(family, SocketType::DGRAM, None).map(drop);
        for family in [
            AddressFamily::UNIX,
            AddressFamily::INET6,
            AddressFamily::PACKET,
        ] {
            assert_eq!(socket(family), Err(Errno::PERM), "{family:?}");
        }
        // The kernel is asked for an interface's number, and for all interfaces.
        assert_eq!(socket(AddressFamily::INET), Ok(()));
        assert_eq!(socket(AddressFamily::NETLINK), Ok(()));
        // One that it has takes an answer.
        assert!(rustix::io::write(&sender, b"answer").is_ok());
        let perm = Some(Errno::PERM.raw_os_error());
        // How much there is to read it has no need to ask.
        let asked = rustix::io::ioctl_fionread(&sender).unwrap_err();
        assert_eq!(asked, Errno::PERM);
        let program = Command::new("/bin/true").status().unwrap_err();
        assert!(
            [perm, denied].contains(&program.raw_os_error()),
            "{program}"
        );
        let no_thread = thread::Builder::new().spawn(|| ()).unwrap_err();
        assert_eq!(no_thread.raw_os_error(), perm);
        assert_eq!(capabilities(None).unwrap_err(), Errno::PERM);
    });
    drop(receiver);
}

#[test]
fn it_becomes_the_user_that_is_named() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: root alone can become another user");
        return;
    }
    let there = Directory::new("user");
    apart(|| {
        let nobody = User {
            uid: 65534,
            gid: 65534,
        };
        let confinement = Confinement {
            user: Some(nobody),
            ..there.confinement()
        };
        let Some(()) = confined(&confinement) else {
            return;
        };
        // It has the number, and the one capability all the same.
        let left = capabilities(None).unwrap();
        assert_eq!(left.effective, CapabilitySet::NET_ADMIN);
        assert!(fs::write(there.0.join("state/mine"), "").is_err());
        let setting = fs::OpenOptions::new()
            .write(true)
            .open("/proc/sys/net/ipv4/conf/lo/rp_filter");
        assert!(setting.is_ok(), "{setting:?}");
    });
}
