//! All public addresses of which anybody has a port, by protocol.

use super::super::growing_map::GrowingMap;
use super::super::hash::TupleHash;
use super::super::shelf::Shelf;
use super::public_address::{Place, PublicAddress};

/// The public addresses.
#[derive(Debug)]
pub(super) struct PublicAddresses {
    numbers: GrowingMap<Place, u32>,
    all: Shelf<Option<PublicAddress>, 6>,
    free: Vec<u32>,
    /// The one that was changed last: most often the next is the same.
    recent: Option<(Place, u32)>,
}

impl PublicAddresses {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            numbers: GrowingMap::new(hash),
            all: Shelf::new(),
            free: Vec::new(),
            recent: None,
        }
    }

    #[inline]
    fn number_of(&self, place: Place) -> Option<u32> {
        match self.recent {
            Some((own, number)) if own == place => Some(number),
            _ => self.numbers.get(&place).copied(),
        }
    }

    /// An address of which somebody has a port.
    #[inline]
    pub(super) fn get(&self, place: Place) -> Option<&PublicAddress> {
        let number = self.number_of(place)?;
        self.all.get(number as usize)?.as_ref()
    }

    /// An address, to be changed, if somebody has a port of it.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut PublicAddress> {
        let number = self.number_of(place)?;
        self.note(place, number);
        self.all.get_mut(number as usize)?.as_mut()
    }

    /// An address is the one that was changed last.
    #[inline]
    fn note(&mut self, place: Place, number: u32) {
        // It is large for what it says: written only where it says something else.
        if self.recent.is_none_or(|(_, own)| own != number) {
            self.recent = Some((place, number));
        }
    }

    /// An address of which somebody takes a port.
    #[inline]
    pub(super) fn taken(&mut self, place: Place) -> Option<&mut PublicAddress> {
        let number = match self.number_of(place) {
            Some(number) => number,
            None => self.add(place),
        };
        self.note(place, number);
        self.all.get_mut(number as usize)?.as_mut()
    }

    #[cold]
    fn add(&mut self, place: Place) -> u32 {
        let own = Some(PublicAddress::new());
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(free) = self.all.get_mut(number as usize) {
                    *free = own;
                }
                number
            }
            // There are not so many addresses and protocols in use.
            None => u32::try_from(self.all.push(own)).unwrap_or(u32::MAX),
        };
        self.numbers.insert(place, number);
        number
    }

    /// Nobody has this port any more, and nobody any of the address, where it was the
    /// last.
    pub(super) fn free_port(&mut self, place: Place, port: u16) {
        let Some(own) = self.get_mut(place) else {
            return;
        };
        own.free(port);
        if own.ports().is_empty()
            && let Some(number) = self.numbers.remove(&place)
        {
            self.recent = None;
            if let Some(own) = self.all.get_mut(number as usize) {
                *own = None;
            }
            self.free.push(number);
        }
    }
}
