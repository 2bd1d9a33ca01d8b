//! Why no engine could have made a snapshot.

use std::fmt;

/// Why no engine could have made a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsound {
    /// Parts are missing, or there are too many.
    Parts,
    /// A number names nothing.
    Number,
    /// Two sessions have one number, or one that was not given out yet.
    Session,
    /// No packets could have these tuples.
    Tuples,
    /// What is known of a session fits no session of its protocol.
    Tracking,
    /// What is known of a control session fits none.
    Control,
    /// The rule file has more rows besides than can be numbered.
    Rows,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parts => "parts of it are missing",
            Self::Number => "it names a rule or a row that it does not have",
            Self::Session => "the numbers of its sessions are not such as are given out",
            Self::Tuples => "there is a session whose packets cannot be",
            Self::Tracking => "there is a session of another protocol than its packets",
            Self::Control => "there is a control session that cannot have come so far",
            Self::Rows => "there are more rules than can be numbered",
        })
    }
}

impl std::error::Error for Unsound {}
