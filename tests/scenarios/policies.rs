//! Rule files of the scenarios.

/// An office and a server network behind one public address.
pub(crate) const OFFICE: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"] }
dmz = { tun = "dmz0", net = ["10.0.9.0/24", "2001:db8:9::/64"], address = ["10.0.9.1", "2001:db8:9::1"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
[services]
ftp  = { tcp = 21, alg = "ftp" }
ssh  = { tcp = 22, idle = "12h" }
web  = { tcp = [80, 443] }
ping = { icmp = "echo-request" }
[policy]
default = "drop"
rules = [
  { id = "banned",      src = "192.0.2.66", action = "drop" },
  { id = "lan-out",     from = "lan", to = "wan", action = "allow" },
  { id = "lan-dmz",     from = "lan", to = "dmz", action = "allow" },
  { id = "lan-gateway", from = "lan", to = "gateway", action = "allow" },
  { id = "dmz-out",     from = "dmz", to = "wan", service = ["web", "ping"], action = "allow" },
  { id = "pub-ftp",     from = "wan", to = "dmz", dst = "10.0.9.21", service = "ftp", action = "allow" },
  { id = "pub-web",     from = "wan", to = "dmz", dst = "10.0.9.80", service = "web", action = "allow" },
  { id = "no-lan-in",   from = ["wan", "dmz"], to = "lan", action = "reject" },
]
[nat]
source = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]
forward = [
  { id = "fwd-ftp", on = "wan", service = "ftp", to = "10.0.9.21" },
  { id = "fwd-web", on = "wan", service = "web", to = "10.0.9.80" },
  { id = "fwd-ssh", on = "wan", tcp = 2222, to = "10.0.9.22:22", admit = true },
  { id = "fwd-dns", on = "wan", udp = 53, to = "10.0.9.53", admit = true },
]
"#;

/// The same networks with addresses that everybody reaches: no translation.
pub(crate) const PLAIN: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
[services]
ftp = { tcp = 21, alg = "ftp" }
[policy]
default = "reject"
rules = [
  { id = "lan-out", from = "lan", to = "wan", action = "allow" },
  { id = "in-web",  from = "wan", to = "lan", dst = ["10.0.0.80", "2001:db8:10::80"], action = "allow" },
  { id = "in-ftp",  from = "wan", to = "lan", dst = "10.0.0.21", service = "ftp", action = "allow" },
  { id = "silent",  from = "wan", to = "lan", action = "drop" },
]
"#;

/// The same rules, where each line of FTP is taken by itself, as the kernel's helper does:
/// for what is about streams, and no matter of dialogues.
pub(crate) fn by_lines(rules: &str) -> String {
    format!("{rules}\n[alg.ftp]\nstrict = false\n")
}

/// The public address of [`OFFICE`].
pub(crate) const PUBLIC: &str = "203.0.113.2";
/// And the one of its other family.
pub(crate) const PUBLIC_V6: &str = "2001:db8:ff::2";
