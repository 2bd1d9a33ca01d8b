//! What may be said behind `cargo bench --bench NAME --`.

use std::collections::BTreeMap;

/// `--name value` pairs.
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads the command line; only these names are known.
    pub(crate) fn read(known: &[&str]) -> Self {
        let mut pairs = BTreeMap::new();
        // Cargo itself adds `--bench`.
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").filter(|name| known.contains(name));
            let name = name.unwrap_or_else(|| panic!("`{word}`: I know --{}", known.join(", --")));
            let value = words
                .next()
                .unwrap_or_else(|| panic!("`{word}` needs a value"));
            pairs.insert(name.to_owned(), value);
        }
        Self(pairs)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number such as `64k`, or a default.
    pub(crate) fn number(&self, name: &str, default: u32) -> u32 {
        self.text(name).map_or(default, number)
    }

    /// Numbers with commas between them, or a default.
    pub(crate) fn numbers(&self, name: &str, default: &str) -> Vec<u32> {
        let text = self.text(name).unwrap_or(default);
        text.split(',').map(number).collect()
    }
}

/// `k` is 2^10 and `m` is 2^20.
fn number(text: &str) -> u32 {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (lower.as_str(), 1),
    };
    let number = digits.parse::<u32>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .unwrap_or_else(|| panic!("`{text}` is no number"))
}

/// The shortest way to say a number.
pub(crate) fn shown(number: u32) -> String {
    match number {
        n if n > 0 && n % (1 << 20) == 0 => format!("{} m", n >> 20),
        n if n > 0 && n % (1 << 10) == 0 => format!("{} k", n >> 10),
        n => n.to_string(),
    }
}
