//! Kernel settings of one device, under `/proc/sys/net`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::{fs, io};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sysctl(PathBuf);

impl Sysctl {
    /// A setting of one device, `family` being `ipv4` or `ipv6`.
    pub(super) fn of_device(family: &str, device: &str, setting: &str) -> Self {
        let path = ["/proc/sys/net", family, "conf", device, setting];
        Self(path.iter().collect())
    }

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
        let filter = Sysctl::of_device("ipv4", "lan0", "rp_filter");
        assert_eq!(filter.name(), "net.ipv4.conf.lan0.rp_filter");
        assert_eq!(
            Sysctl::of_host("ipv4/ip_forward").name(),
            "net.ipv4.ip_forward"
        );
    }
}
