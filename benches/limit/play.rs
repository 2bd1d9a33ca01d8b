//! The limit program as the benches play it.

use super::Limit;
use crate::yard::gate::Side;
use crate::yard::play::Program;

/// In batches.
pub(crate) struct Batched<'a>(pub(crate) &'a Limit);

impl Program for Batched<'_> {
    fn burst(&mut self, frames: &mut [Vec<u8>], _: &[Side]) -> usize {
        self.0.batch(frames)
    }
}

/// One by one, without prefetch.
pub(crate) struct Single<'a>(pub(crate) &'a Limit);

impl Program for Single<'_> {
    fn burst(&mut self, frames: &mut [Vec<u8>], _: &[Side]) -> usize {
        self.0.single(frames)
    }
}

/// In batches, where each packet begins a session.
pub(crate) struct Beginning<'a>(pub(crate) &'a mut Limit);

impl Program for Beginning<'_> {
    fn burst(&mut self, frames: &mut [Vec<u8>], _: &[Side]) -> usize {
        self.0.begin(frames)
    }
}
