//! The rows of a list of the rule file, each under a number that it keeps.
//!
//! Sessions, mappings and counters keep the number of a row. In the first file it is
//! the row's place. Where another file takes over, a row that carries on keeps its
//! number wherever it stands now, and a new one gets the next. What is gone keeps its
//! number too: it is asked no more, and what began by it still knows what it said.

use std::collections::BTreeMap;

/// Rows in the order in which they are asked, and those that were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// By their numbers.
    all: Vec<T>,
    /// The numbers of those in force, in order.
    order: Vec<u16>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            order: Vec::new(),
        }
    }
}

impl<T> Rows<T> {
    /// Adds one behind the others. More than can be numbered are left out: the reader of rule
    /// files refuses such a file.
    pub fn push(&mut self, row: T) {
        if let Ok(number) = u16::try_from(self.all.len()) {
            self.all.push(row);
            self.order.push(number);
        }
    }

    /// Gives a number to a row that is in force no more. `None`: there are more than can be
    /// numbered.
    pub fn put_aside(&mut self, row: T) -> Option<u16> {
        // The last number is none of a `RowId`.
        let number = u16::try_from(self.all.len() + 1).ok()? - 1;
        self.all.push(row);
        Some(number)
    }

    /// Those in force, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            all: &self.all,
            order: self.order.iter(),
        }
    }

    /// The same, each with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (u16, &T)> {
        let row = |number: &u16| Some((*number, self.all.get(usize::from(*number))?));
        self.order.iter().filter_map(row)
    }

    /// All that have a number, by their numbers; also those that are gone.
    #[must_use]
    pub fn by_number(&self) -> &[T] {
        &self.all
    }

    /// The row of this number, also one that is gone.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&T> {
        self.all.get(number)
    }

    /// How many are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the row of this number is.
    #[must_use]
    pub fn is_in_force(&self, number: usize) -> bool {
        let is_asked = || self.order.iter().any(|own| usize::from(*own) == number);
        number < self.all.len() && (self.order.len() == self.all.len() || is_asked())
    }

    /// Changes each row in force.
    pub fn change(&mut self, mut change: impl FnMut(&mut T)) {
        for number in &self.order {
            if let Some(row) = self.all.get_mut(usize::from(*number)) {
                change(row);
            }
        }
    }

    /// The same rows in place of `old` ones: one carries on what is of its name there,
    /// as far as `carries_on` agrees. `None`: there are more than can be numbered.
    #[must_use]
    pub fn in_place_of(
        self,
        old: &Self,
        name: impl Fn(&T) -> &str,
        carries_on: impl Fn(&T, &T) -> bool,
    ) -> Option<Self>
    where
        T: Clone,
    {
        let mut known: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        for (row, number) in old.all.iter().zip(0..=u16::MAX) {
            known.entry(name(row)).or_default().push(number);
        }
        let (mut all, mut order) = (old.all.clone(), Vec::with_capacity(self.len()));
        for row in self.iter() {
            let mut same = known.get(name(row)).into_iter().flatten();
            let kept = same.find(|number| {
                let before = old.all.get(usize::from(**number));
                before.is_some_and(|before| carries_on(before, row))
            });
            let number = match kept {
                Some(number) => *number,
                // The last number is none of a `RowId`.
                None => u16::try_from(all.len() + 1).ok()? - 1,
            };
            match all.get_mut(usize::from(number)) {
                Some(before) => *before = row.clone(),
                None => all.push(row.clone()),
            }
            order.push(number);
        }
        Some(Self { all, order })
    }

    /// The numbers that rows of the places in a file have, in order.
    #[must_use]
    pub fn numbers(&self) -> &[u16] {
        &self.order
    }
}

impl<T> Extend<T> for Rows<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, rows: I) {
        for row in rows {
            self.push(row);
        }
    }
}

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut all = Self::default();
        all.extend(rows);
        all
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Rows in order.
#[derive(Debug, Clone)]
pub struct Iter<'a, T> {
    all: &'a [T],
    order: std::slice::Iter<'a, u16>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.all.get(usize::from(*self.order.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, u8);

    fn rows(all: &[Row]) -> Rows<Row> {
        all.iter().copied().collect()
    }

    fn after(old: &Rows<Row>, all: &[Row]) -> Rows<Row> {
        let carries_on = |old: &Row, new: &Row| old.1 == new.1;
        rows(all).in_place_of(old, |row| row.0, carries_on).unwrap()
    }

    #[test]
    fn what_carries_on_keeps_its_number_and_what_is_gone_its_word() {
        let first = rows(&[("a", 1), ("b", 1), ("c", 1)]);
        let second = after(&first, &[("c", 1), ("new", 1), ("b", 2)]);
        let numbered: Vec<_> = second.numbered().map(|(n, row)| (n, *row)).collect();
        assert_eq!(numbered, [(2, ("c", 1)), (3, ("new", 1)), (4, ("b", 2))]);
        assert_eq!(second.get(0), Some(&("a", 1)));
        assert_eq!(second.get(1), Some(&("b", 1)));
        assert_eq!((second.len(), second.by_number().len()), (3, 5));
        assert!(second.is_in_force(4) && !second.is_in_force(1));
        // Whatever comes back is what it was.
        let third = after(&second, &[("a", 1), ("b", 1)]);
        assert_eq!(third.numbers(), [0, 1]);
        assert_eq!(after(&third, &[("a", 1), ("b", 1)]), third);
    }

    #[test]
    fn there_are_no_more_than_can_be_numbered() {
        let (mut first, mut second) = (Rows::default(), Rows::default());
        for number in 0..60_000u32 {
            first.push((number, String::from("first")));
            second.push((number, String::from("second")));
        }
        let never = |_: &(u32, String), _: &(u32, String)| false;
        assert!(second.in_place_of(&first, |row| &row.1, never).is_none());
    }
}
