//! Names: what they may look like, and what was declared.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeString;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::spelling::{nearest, one_of};
use super::table::{Text, shortened};

/// Longest name, in bytes.
const LONGEST_NAME: usize = 63;

/// The names that one section declares, numbered in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Names<'t> {
    kind: Kind,
    /// `None`: the section is missing, which was reported once and for all.
    known: Option<HashMap<&'t str, u16>>,
    in_order: Vec<&'t str>,
}

/// What the names of a section name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zone,
    Set,
    Service,
    Lifetime,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Set => "set",
            Self::Service => "service",
            Self::Lifetime => "lifetime",
        }
    }

    fn unknown(self) -> Code {
        match self {
            Self::Zone => Code::UnknownZone,
            Self::Set => Code::UnknownSet,
            Self::Service => Code::UnknownService,
            Self::Lifetime => Code::UnknownLifetime,
        }
    }
}

impl<'t> Names<'t> {
    /// Declares these names; reports malformed and reserved ones.
    pub(super) fn declare(
        kind: Kind,
        names: impl Iterator<Item = &'t Spanned<DeString<'t>>>,
        problems: &mut Problems,
    ) -> Self {
        let mut in_order: Vec<&str> = Vec::new();
        for name in names {
            check_name(name.get_ref(), name.span(), kind.word(), problems);
            if in_order.len() == MOST_ENTRIES {
                too_many(name.span(), kind.word(), problems);
                break;
            }
            in_order.push(name.get_ref());
        }
        let known = in_order.iter().copied().zip(0..=u16::MAX).collect();
        Self {
            kind,
            known: Some(known),
            in_order,
        }
    }

    /// No names, and no word about it where one is used.
    pub(super) fn missing(kind: Kind) -> Self {
        Self {
            kind,
            known: None,
            in_order: Vec::new(),
        }
    }

    /// The number of the entry of this name; reports a name that nobody has.
    /// `extra` are words that would also be right here.
    pub(super) fn resolve(
        &self,
        name: &Text<'t>,
        extra: &[&str],
        problems: &mut Problems,
    ) -> Option<u16> {
        let known = self.known.as_ref()?;
        let wanted = *name.get_ref();
        let wanted = match self.kind {
            Kind::Set => wanted.strip_prefix('@').unwrap_or(wanted),
            Kind::Zone | Kind::Service | Kind::Lifetime => wanted,
        };
        let found = known.get(wanted).copied();
        if found.is_none() {
            problems.push(self.unknown(wanted, name.span(), extra, problems));
        }
        found
    }

    fn unknown(
        &self,
        wanted: &str,
        span: Range<usize>,
        extra: &[&str],
        problems: &Problems,
    ) -> Diagnostic {
        let word = self.kind.word();
        let diagnostic = Diagnostic::new(
            self.kind.unknown(),
            span,
            format!("unknown {word} `{}`", shortened(wanted)),
        )
        .label(format!("no {word} of this name"));
        if problems.is_full() {
            return diagnostic;
        }
        if self.kind == Kind::Zone && wanted == ANY {
            return diagnostic.help("leave the key out where any zone will do");
        }
        if self.kind == Kind::Zone && wanted == GATEWAY {
            return Diagnostic {
                code: Code::NotHere,
                message: "the gateway is no zone that packets come by".to_owned(),
                ..diagnostic
            }
            .label("only `to` can say so")
            .help("rules judge what arrives; what the gateway itself sends is not asked about");
        }
        let candidates = self.in_order.iter().chain(extra).copied();
        let at = if self.kind == Kind::Set { "@" } else { "" };
        match nearest(wanted, candidates) {
            Some(near) => diagnostic.help(format!("did you mean `{at}{near}`?")),
            None if self.in_order.is_empty() => {
                diagnostic.help(format!("the file declares no {word}"))
            }
            None if self.in_order.len() <= 12 => {
                diagnostic.help(format!("the file has {}", one_of(&self.in_order, "and")))
            }
            None => diagnostic,
        }
    }
}

/// How many entries a section can number.
pub(super) const MOST_ENTRIES: usize = 1 << 16;

/// Reports that a section has more entries than numbers.
pub(super) fn too_many(span: Range<usize>, word: &str, problems: &mut Problems) {
    problems.push(
        Diagnostic::new(Code::TooMany, span, format!("more than 65536 {word}s"))
            .label("this one is too many"),
    );
}

/// The gateway itself, where a rule says what a connection is bound for.
pub(super) const GATEWAY: &str = "gateway";
/// Kept free, since people expect it to mean what it says.
pub(super) const ANY: &str = "any";
/// What decides where no rule does; kept free for the tests of rules.
const DEFAULT: &str = "default";

/// Reports a name that is malformed or means something else.
pub(super) fn check_name(name: &str, span: Range<usize>, word: &str, problems: &mut Problems) {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters)
        && name.len() <= LONGEST_NAME;
    if !well_formed {
        problems.push(
            Diagnostic::new(
                Code::BadName,
                span,
                format!("`{}` cannot be the name of a {word}", shortened(name)),
            )
            .label("not a name")
            .help("a name begins with a lower-case letter and goes on with such letters, digits and `-`, 63 at most"),
        );
        return;
    }
    let meaning = match (word, name) {
        ("zone", GATEWAY) => "in a rule it means the gateway itself",
        ("zone", ANY) => "leave a key out to say \"any\"",
        ("rule" | "translation" | "forward", DEFAULT) => "it means the default policy",
        _ => return,
    };
    problems.push(
        Diagnostic::new(
            Code::BadName,
            span,
            format!("the name `{name}` is reserved"),
        )
        .label("reserved")
        .help(format!("choose another name: {meaning}")),
    );
}

/// The value among `choices` that has this name; reports a word that none has.
pub(super) fn choose<T: Copy>(
    word: &Text<'_>,
    choices: &[(&str, T)],
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    let wanted = *word.get_ref();
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == wanted) {
        return Some(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let help = match nearest(wanted, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}", one_of(&names, "or")),
    };
    problems.push(
        Diagnostic::new(
            Code::UnknownWord,
            word.span(),
            format!("unknown {what} `{}`", shortened(wanted)),
        )
        .label(format!("no {what}"))
        .help(help),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_some_are_taken() {
        let is_right = |name: &str, word: &str| {
            let mut problems = Problems::default();
            check_name(name, 0..0, word, &mut problems);
            problems.is_empty()
        };
        assert!(is_right("dmz-2", "zone") && is_right("any", "set"));
        for name in ["", "2dmz", "Lan", "a_b", "-a", "a b", "gateway", "any"] {
            assert!(!is_right(name, "zone"), "{name}");
        }
        assert!(!is_right("default", "rule"));
    }
}
