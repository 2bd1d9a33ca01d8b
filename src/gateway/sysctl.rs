//! Kernel settings of one device, under `/proc/sys/net`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::{fmt, fs, io};

/// A setting of a device that the gateway changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    family: &'static str,
    name: &'static str,
}

impl Setting {
    pub(super) const RP_FILTER: Self = Self {
        family: "ipv4",
        name: "rp_filter",
    };
    pub(super) const ADDR_GEN_MODE: Self = Self {
        family: "ipv6",
        name: "addr_gen_mode",
    };
    pub(super) const ACCEPT_RA: Self = Self {
        family: "ipv6",
        name: "accept_ra",
    };
    /// All that it changes.
    pub(super) const ALL: [Self; 3] = [Self::RP_FILTER, Self::ADDR_GEN_MODE, Self::ACCEPT_RA];

    /// The one of this name, such as `ipv4.rp_filter`.
    pub(super) fn named(text: &str) -> Option<Self> {
        let (family, name) = text.split_once('.')?;
        let is_it = |own: &Self| (own.family, own.name) == (family, name);
        Self::ALL.into_iter().find(is_it)
    }

    /// That of this device.
    pub(super) fn of(self, device: &str) -> Sysctl {
        let path = ["/proc/sys/net", self.family, "conf", device, self.name];
        Sysctl(path.iter().collect())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.family, self.name)
    }
}

/// One setting, where it can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sysctl(PathBuf);

impl Sysctl {
    /// A setting of the whole network namespace, such as `ipv4/ip_forward`.
    pub(super) fn of_host(setting: &str) -> Self {
        Self(["/proc/sys/net", setting].iter().collect())
    }

    /// What it is now.
    pub(super) fn read(&self) -> io::Result<String> {
        Ok(fs::read_to_string(&self.0)?.trim_end().to_owned())
    }

    /// Sets it and gives back what it was, `None` if it was that already.
    pub(super) fn set(&self, value: &str) -> io::Result<Option<String>> {
        let before = self.read()?;
        if before == value {
            return Ok(None);
        }
        // Without cutting it off, which Landlock has another right for.
        let mut setting = OpenOptions::new().write(true).open(&self.0)?;
        setting.write_all(value.as_bytes())?;
        Ok(Some(before))
    }

    /// The name that sysctl(8) has for it, where no device name holds a dot.
    pub(super) fn name(&self) -> String {
        let path = self.0.strip_prefix("/proc/sys").unwrap_or(&self.0);
        path.to_string_lossy().replace('/', ".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_goes_by_its_sysctl_name() {
        let filter = Setting::RP_FILTER.of("lan0");
        assert_eq!(filter.name(), "net.ipv4.conf.lan0.rp_filter");
        assert_eq!(
            Sysctl::of_host("ipv4/ip_forward").name(),
            "net.ipv4.ip_forward"
        );
    }
}
