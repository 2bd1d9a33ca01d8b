//! The group whose members may change things.

use std::collections::BTreeSet;
use std::fs;

/// A group, as `/etc/group` has it when the gateway starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) gid: u32,
    /// The users that are named as its members.
    members: BTreeSet<u32>,
}

impl Group {
    /// The group of this name, or of this number.
    pub(super) fn find(name: &str) -> Option<Self> {
        let groups = fs::read_to_string("/etc/group").unwrap_or_default();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::among(&groups, &users, name)
    }

    fn among(groups: &str, users: &str, name: &str) -> Option<Self> {
        let mut rows = groups.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (row, _) = (fields.next()?, fields.next()?);
            let gid: u32 = fields.next()?.parse().ok()?;
            Some((row, gid, fields.next().unwrap_or_default()))
        });
        let number: Option<u32> = name.parse().ok();
        let found = rows.find(|(row, gid, _)| *row == name || Some(*gid) == number);
        let (gid, names) = match (found, number) {
            (Some((_, gid, names)), _) => (gid, names),
            (None, Some(gid)) => (gid, ""),
            (None, None) => return None,
        };
        let members = names.split(',').filter_map(|name| user(users, name));
        Some(Self {
            gid,
            members: members.collect(),
        })
    }

    /// Whether somebody of this user and group belongs to it.
    pub(super) fn has(&self, uid: u32, gid: u32) -> bool {
        gid == self.gid || self.members.contains(&uid)
    }
}

/// The number of a user.
fn user(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_those_whose_own_it_is_and_those_it_names() {
        let groups = "root:x:0:\nnetops:x:950:ann,bob\nbroken\n";
        let users = "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/:/bin/sh\n";
        let group = Group::among(groups, users, "netops").unwrap();
        assert!(group.has(1001, 1001) && group.has(7, 950));
        assert!(!group.has(1002, 1002));
        assert_eq!(Group::among(groups, users, "950"), Some(group));
        assert_eq!(Group::among(groups, users, "nobody"), None);
        assert!(Group::among(groups, users, "951").unwrap().has(7, 951));
    }
}
