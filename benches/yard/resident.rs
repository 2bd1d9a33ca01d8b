//! How much memory this process has, as Linux tells it.

/// Octets that are resident now.
pub(crate) fn resident() -> usize {
    of_status("VmRSS:")
}

/// The most octets that were resident since [`forget_peak`].
pub(crate) fn peak() -> usize {
    of_status("VmHWM:")
}

/// Lets the peak begin anew.
pub(crate) fn forget_peak() {
    // See proc_pid_clear_refs(5): 5 resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").expect("this is Linux");
}

fn of_status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("a number of kilobytes") * 1024
}
