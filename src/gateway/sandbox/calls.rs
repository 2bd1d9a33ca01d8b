//! System calls, by seccomp: a refused one fails with `EPERM`.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Makes or takes over a TUN device (`linux/if_tun.h`).
const TUNSETIFF: u64 = 0x4004_54ca;

/// What opening a TUN device asks the kernel besides (`linux/if_tun.h`, `linux/sockios.h`):
/// its name, offloads, flags, MTU and number; that reading it does not wait.
const OPENING_REQUESTS: &[u64] = &[
    TUNSETIFF,
    0x8004_54d2, // TUNGETIFF
    0x4004_54d0, // TUNSETOFFLOAD
    0x8913,      // SIOCGIFFLAGS
    0x8914,      // SIOCSIFFLAGS
    0x8921,      // SIOCGIFMTU
    0x8933,      // SIOCGIFINDEX
    0x5421,      // FIONBIO
];

/// Calls that a gateway never makes, and whoever takes one over would like to.
const POWER: &[c_long] = &[
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Other namespaces and roots.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The kernel itself, and the ways by which it is attacked most.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    // The clock of everybody.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
];

/// What moving packets takes: devices and log are open, memory may be needed.
const FORWARDING: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    // A descriptor that goes with what was its owner; the end, also by a bug of ours.
    libc::SYS_close,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What opening a TUN device takes besides, and sending it to the gateway. The kernel's list
/// of interfaces comes by a netlink socket.
const OPENING: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_fcntl,
    libc::SYS_bind,
    libc::SYS_getsockname,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
];

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Refuses what reaches for power. Gives whether this processor's calls are known.
pub(super) fn refuse_power() -> io::Result<bool> {
    let mut rules: Rules = POWER.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_ioctl, vec![argument(1, TUNSETIFF)?]);
    let raw = [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_KEY];
    rules.insert(libc::SYS_socket, families(&raw)?);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(rules, SeccompAction::Allow, refuse)
}

/// Allows what moving packets takes, and nothing else.
pub(super) fn allow_forwarding() -> io::Result<bool> {
    let rules = FORWARDING.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(rules, refuse, SeccompAction::Allow)
}

/// Allows what opening TUN devices for the gateway takes, and nothing else.
pub(super) fn allow_opening() -> io::Result<bool> {
    let calls = FORWARDING.iter().chain(OPENING);
    let mut rules: Rules = calls.map(|call| (*call, Vec::new())).collect();
    let requests = OPENING_REQUESTS.iter().map(|request| argument(1, *request));
    rules.insert(libc::SYS_ioctl, requests.collect::<io::Result<_>>()?);
    let asking = families(&[libc::AF_INET, libc::AF_NETLINK])?;
    rules.insert(libc::SYS_socket, asking);
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(rules, refuse, SeccompAction::Allow)
}

fn apply(rules: Rules, others: SeccompAction, these: SeccompAction) -> io::Result<bool> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(false);
    };
    let filter = SeccompFilter::new(rules, others, these, arch).map_err(io::Error::other)?;
    let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)?;
    Ok(true)
}

/// Where a socket is of one of these families.
fn families(families: &[i32]) -> io::Result<Vec<SeccompRule>> {
    let families = families.iter().map(|family| family.unsigned_abs());
    families.map(|family| argument(0, family.into())).collect()
}

/// Where this argument of a call is this number.
fn argument(place: u8, value: u64) -> io::Result<SeccompRule> {
    let is = SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let rule = is.and_then(|is| SeccompRule::new(vec![is]));
    rule.map_err(io::Error::other)
}
