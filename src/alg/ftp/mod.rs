//! The FTP ALG.

use super::{Alg, Chunk, Desk, Inspection};
use crate::net::{AlgKind, Direction};

/// The reader of one FTP control session.
#[derive(Debug, Clone, Default)]
pub struct Ftp {}

impl Alg for Ftp {
    fn kind(&self) -> AlgKind {
        AlgKind::Ftp
    }

    fn inspect(&mut self, _chunk: Chunk<'_>, _desk: &mut dyn Desk) -> Inspection {
        Inspection::default()
    }

    fn skipped(&mut self, _direction: Direction) {}

    fn boxed_clone(&self) -> Box<dyn Alg> {
        Box::new(self.clone())
    }
}
