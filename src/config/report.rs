//! Diagnostics as an operator reads them.
//!
//! Owns the file's name and text and draws each diagnostic with its place
//! underlined (`annotate-snippets`). It refuses to draw lines that nobody
//! could read: of a very long one it names line and column only, so that junk
//! costs no more than it has bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::code::Severity;
use super::diagnostic::{Diagnostic, Label, Problems};
use super::lines::Lines;

/// A line longer than this (in bytes) is not drawn.
const LONGEST_DRAWN: usize = 2_000;
/// A second place further off than this is drawn by itself.
const NEAR: usize = 2_000;

/// Whether words for people are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Colour {
    /// As bare text.
    Plain,
    /// With ANSI escapes.
    Styled,
}

impl Colour {
    /// The choice for a stream: colour only on a terminal, and not where the
    /// environment has a non-empty `NO_COLOR` (<https://no-color.org>).
    #[must_use]
    pub fn for_stream(stream: &impl std::io::IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stream.is_terminal() && !refused {
            Self::Styled
        } else {
            Self::Plain
        }
    }
}

/// What is to be said of a rule file: why it gave no policy, or what in it works and
/// is hardly meant so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// There is no text to point at; this is why.
    Unreadable(String),
    /// There is something about the text.
    Found {
        text: String,
        diagnostics: Vec<Diagnostic>,
        left_out: usize,
    },
}

impl Report {
    pub(super) fn unreadable(file: &Path, why: impl Into<String>) -> Self {
        Self {
            file: file.to_path_buf(),
            content: Content::Unreadable(why.into()),
        }
    }

    pub(super) fn errors(file: &Path, text: &str, problems: Problems) -> Self {
        let (diagnostics, left_out) = problems.into_sorted();
        Self {
            file: file.to_path_buf(),
            content: Content::Found {
                text: text.to_owned(),
                diagnostics,
                left_out,
            },
        }
    }

    /// The lints of a text that has no errors; `None` where it has none either.
    pub(super) fn lints(file: &Path, text: &str, lints: Vec<Diagnostic>) -> Option<Self> {
        (!lints.is_empty()).then(|| Self {
            file: file.to_path_buf(),
            content: Content::Found {
                text: text.to_owned(),
                diagnostics: lints,
                left_out: 0,
            },
        })
    }

    /// Whether the file could not be read at all.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self.content, Content::Unreadable(_))
    }

    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is wrong, by place; empty where the file could not be read.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match &self.content {
            Content::Unreadable(_) => &[],
            Content::Found { diagnostics, .. } => diagnostics,
        }
    }

    /// All of it as text, with a line break at the end.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let renderer = match colour {
            Colour::Plain => Renderer::plain(),
            Colour::Styled => Renderer::styled(),
        }
        .decor_style(DecorStyle::Ascii);
        let name = self.file.display().to_string();
        match &self.content {
            Content::Unreadable(why) => {
                let title = Level::ERROR.primary_title(format!("{name}: {why}"));
                renderer.render(&[Group::with_title(title)]) + "\n"
            }
            Content::Found {
                text,
                diagnostics,
                left_out,
            } => {
                let lines = Lines::of(text);
                let mut all = String::new();
                for diagnostic in diagnostics {
                    all += &renderer.render(&groups(diagnostic, &name, &lines));
                    all += "\n\n";
                }
                if *left_out > 0 {
                    all += &format!("... and {left_out} more\n");
                }
                let count = diagnostics.len() + left_out;
                let severity = diagnostics.first().map(|first| first.code.severity());
                let noun = match severity {
                    Some(Severity::Warning) => "warning",
                    Some(Severity::Error) | None => "error",
                };
                let ending = if count == 1 { "" } else { "s" };
                all + &format!("{name}: {count} {noun}{ending}\n")
            }
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.render(Colour::Plain).trim_end())
    }
}

impl std::error::Error for Report {}

fn groups<'a>(diagnostic: &'a Diagnostic, name: &'a str, lines: &Lines<'a>) -> Vec<Group<'a>> {
    let level = match diagnostic.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.name());
    let (near, far): (Vec<_>, Vec<_>) = diagnostic
        .secondary
        .iter()
        .partition(|label| label.span.start.abs_diff(diagnostic.primary.span.start) <= NEAR);
    let mut main =
        Group::with_title(title).element(picture(Some(&diagnostic.primary), &near, name, lines));
    for label in far {
        main = main.element(picture(None, &[label], name, lines));
    }
    let help = diagnostic.help.as_deref();
    let help = help.map(|text| Group::with_title(Level::HELP.secondary_title(text)));
    std::iter::once(main).chain(help).collect()
}

/// The lines that the labels touch, with the labels beneath.
fn picture<'a>(
    primary: Option<&'a Label>,
    context: &[&'a Label],
    name: &'a str,
    lines: &Lines<'a>,
) -> Element<'a> {
    let all = || primary.into_iter().chain(context.iter().copied());
    // What fills several lines is underlined where it begins.
    let extent = |label: &Label| match label.span.len() {
        0..=NEAR => label.span.clone(),
        _ => label.span.start..label.span.start,
    };
    let start = all().map(|l| extent(l).start).min().unwrap_or(0);
    let end = all().map(|l| extent(l).end).max().unwrap_or(0);
    let shown = lines.around(&(start..end));
    let source = lines.text(&shown);
    if source.lines().any(|line| line.len() > LONGEST_DRAWN) {
        let main = all().next().map_or(0, |label| label.span.start);
        let (line, column) = lines.position(main);
        return Origin::path(name).line(line).char_column(column).into();
    }
    let (first_line, _) = lines.position(shown.start);
    let within = |span: &Range<usize>| {
        let at = |offset: usize| lines.clamp(offset).saturating_sub(shown.start);
        let start = at(span.start).min(source.len());
        start..at(span.end).clamp(start, source.len())
    };
    let draw = |kind: AnnotationKind, label: &'a Label| {
        let annotation = kind.span(within(&extent(label)));
        if label.text.is_empty() {
            annotation
        } else {
            annotation.label(label.text.as_str())
        }
    };
    Snippet::source(source)
        .line_start(first_line)
        .path(name)
        .annotations(primary.map(|label| draw(AnnotationKind::Primary, label)))
        .annotations(
            context
                .iter()
                .map(|label| draw(AnnotationKind::Context, label)),
        )
        .into()
}
