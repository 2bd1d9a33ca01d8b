//! From where to where a number may be.

use std::time::Duration;

use crate::config::parse_duration;

/// A range, both ends of which belong to it; `None`: without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<T> {
    first: Option<T>,
    last: Option<T>,
}

impl<T: Copy + PartialOrd> Span<T> {
    pub(super) fn contains(&self, value: T) -> bool {
        self.first.is_none_or(|first| first <= value) && self.last.is_none_or(|last| value <= last)
    }

    /// Reads `5`, `5..7`, `5..` and `..7`.
    fn read(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let Some((first, last)) = text.split_once("..") else {
            let value = Some(one(text)?);
            return Some(Self {
                first: value,
                last: value,
            });
        };
        let end = |text: &str| match text.is_empty() {
            true => Some(None),
            false => one(text).map(Some),
        };
        let span = Self {
            first: end(first)?,
            last: end(last)?,
        };
        let (Some(first), Some(last)) = (span.first, span.last) else {
            return (span.first.is_some() || span.last.is_some()).then_some(span);
        };
        (first <= last).then_some(span)
    }
}

impl Span<u64> {
    pub(super) fn of_count(text: &str) -> Option<Self> {
        Self::read(text, |number| number.parse().ok())
    }
}

impl Span<u16> {
    /// Reads `1024-65535` too, as rule files have it.
    pub(super) fn of_port(text: &str) -> Option<Self> {
        let one = |number: &str| number.parse().ok();
        match text.split_once('-') {
            Some((first, last)) if !first.is_empty() && !last.is_empty() => {
                Self::read(&format!("{first}..{last}"), one)
            }
            _ => Self::read(text, one),
        }
    }
}

impl Span<Duration> {
    pub(super) fn of_time(text: &str) -> Option<Self> {
        Self::read(text, |time| parse_duration(time).ok())
    }
}
