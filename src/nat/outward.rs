//! Source translation: as what a connection leaves.

use std::net::IpAddr;

use super::inward::Inward;
use super::policy::{NatPolicy, Pooling, SourceNat, SourceTarget};
use super::pool::same_host;
use crate::net::{Asking, Family, NatRow, Place, RowId, Services, ZoneId, Zones};

/// What the source translation says of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceChoice {
    /// No row is about it: its address stays.
    Unchanged,
    /// A row says that its address stays.
    Exempt(NatRow),
    /// It leaves from this address.
    From(NatRow, IpAddr),
    /// A row is about it, but has no address of its family.
    NoAddress(NatRow),
}

impl SourceChoice {
    /// The row that says so.
    #[must_use]
    pub fn row(self) -> Option<NatRow> {
        match self {
            Self::Unchanged => None,
            Self::Exempt(row) | Self::From(row, _) | Self::NoAddress(row) => Some(row),
        }
    }
}

/// Where a new connection's address comes from, and by which row.
#[derive(Debug, Clone, Copy)]
pub struct Outward<'p> {
    /// Its address.
    pub choice: SourceChoice,
    /// What says more of it; `None`: all else as is usual.
    pub row: Option<&'p SourceNat>,
}

impl Outward<'_> {
    /// The row of `nat.source` that gives the address.
    #[must_use]
    pub fn row_id(&self) -> Option<RowId> {
        let place = match self.choice {
            SourceChoice::From(NatRow::Source(place), _)
            | SourceChoice::NoAddress(NatRow::Source(place)) => place,
            _ => return None,
        };
        RowId::of_place(usize::from(place))
    }
}

impl NatPolicy {
    /// What becomes of the source of this connection, which destination
    /// translation has made `inward`. `draw` gives the number that decides
    /// about a pool.
    #[must_use]
    pub fn outward(
        &self,
        asking: &Asking<'_>,
        inward: Option<&Inward<'_>>,
        (services, zones): (&Services, &Zones),
        draw: impl Fn(Pooling) -> u64,
    ) -> Outward<'_> {
        let unbound = |choice| Outward { choice, row: None };
        match inward {
            Some(Inward {
                client: Some(target),
                row,
                ..
            }) => unbound(target.choose(*row, asking, zones, draw)),
            Some(Inward {
                hairpin: Some(on),
                row,
                ..
            }) => self.hairpin(*row, *on, asking, (services, zones), draw),
            _ => self.by_rows(asking, services, zones, draw),
        }
    }

    fn by_rows(
        &self,
        asking: &Asking<'_>,
        services: &Services,
        zones: &Zones,
        draw: impl Fn(Pooling) -> u64,
    ) -> Outward<'_> {
        let client = asking.tuple.source.address;
        let mut statics = self.statics.numbered();
        let fixed = statics.find_map(|(n, row)| {
            let public = same_host(client, row.inside, row.outside)?;
            (asking.to == Place::Zone(row.on)).then_some((NatRow::Static(n), public))
        });
        if let Some((row, public)) = fixed {
            return Outward {
                choice: SourceChoice::From(row, public),
                row: None,
            };
        }
        let mut rows = self.source.numbered();
        match rows.find(|(_, row)| row.selector.is_about(asking, services)) {
            None => Outward {
                choice: SourceChoice::Unchanged,
                row: None,
            },
            Some((n, row)) => Outward {
                choice: row.target.choose(NatRow::Source(n), asking, zones, draw),
                row: Some(row),
            },
        }
    }

    /// A client that came by the inside to a public address of zone `on` is
    /// seen as it would be from there: else the answers would not come back
    /// through the gateway.
    fn hairpin(
        &self,
        row: NatRow,
        on: ZoneId,
        asking: &Asking<'_>,
        (services, zones): (&Services, &Zones),
        draw: impl Fn(Pooling) -> u64,
    ) -> Outward<'_> {
        let from_outside = Asking {
            to: Place::Zone(on),
            ..*asking
        };
        let found = self.by_rows(&from_outside, services, zones, draw);
        if matches!(
            found.choice,
            SourceChoice::From(..) | SourceChoice::NoAddress(_)
        ) {
            return found;
        }
        let own = zones.own_address(on, asking.tuple.source.family());
        Outward {
            choice: own.map_or(SourceChoice::NoAddress(row), |address| {
                SourceChoice::From(row, address)
            }),
            row: None,
        }
    }
}

impl SourceTarget {
    fn choose(
        &self,
        row: NatRow,
        asking: &Asking<'_>,
        zones: &Zones,
        draw: impl Fn(Pooling) -> u64,
    ) -> SourceChoice {
        let client = asking.tuple.source.address;
        let family = Family::of(client);
        let address = match self {
            Self::Exempt => return SourceChoice::Exempt(row),
            Self::Masquerade => match asking.to {
                Place::Zone(zone) => zones.own_address(zone, family),
                Place::Gateway => None,
            },
            Self::Pool(pool, pooling) => pool.draw(family, draw(*pooling)),
            Self::Deterministic(plan) => plan.range_of(client).map(|(address, _)| address),
            Self::Network(pairs) => pairs
                .iter()
                .find_map(|(from, to)| same_host(client, *from, *to)),
        };
        address.map_or(SourceChoice::NoAddress(row), |address| {
            SourceChoice::From(row, address)
        })
    }
}
