//! What a reader of a control session knows, as it is written down and read again.

use serde::{Deserialize, Serialize};

use super::Alg;
use super::ftp::Ftp;
use super::tftp::Tftp;
use crate::net::AlgKind;

/// What a reader knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SavedAlg {
    /// FTP's.
    Ftp(Box<Ftp>),
    /// TFTP's: nothing.
    Tftp,
}

impl SavedAlg {
    /// Whose it is.
    #[must_use]
    pub fn kind(&self) -> AlgKind {
        match self {
            Self::Ftp(_) => AlgKind::Ftp,
            Self::Tftp => AlgKind::Tftp,
        }
    }

    /// A reader that knows this. `None`: no reader could.
    #[must_use]
    pub fn revive(self) -> Option<Box<dyn Alg>> {
        match self {
            Self::Ftp(ftp) => ftp.is_sound().then_some(ftp as Box<dyn Alg>),
            Self::Tftp => Some(Box::new(Tftp)),
        }
    }
}
