//! Words and colours: how a verdict looks on a terminal.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::RunVerdict;
use crate::finding::Verdict;

/// How a cell without a verdict looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    /// As text.
    Plain,
    /// A path that is open.
    Open,
    /// What steps back.
    Faint,
    /// What nobody can tell.
    Unsure,
    /// Neither one nor the other.
    Mixed,
}

/// How to draw: decided by the caller, who knows the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold.
    pub colour: bool,
    /// Columns; tables wrap to it, between 60 and 200.
    pub width: u16,
}

impl Style {
    /// No colour, 100 columns: for a pipe or a file.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            colour: false,
            width: 100,
        }
    }

    /// For a stream: colours only on a terminal and only where the environment does not forbid them
    /// (`NO_COLOR` set to anything but the empty string).
    #[must_use]
    pub fn for_stream(is_terminal: bool, no_color: Option<&std::ffi::OsStr>, columns: Option<u16>) -> Self {
        let forbidden = no_color.is_some_and(|value| !value.is_empty());
        Self {
            colour: is_terminal && !forbidden,
            width: if is_terminal {
                columns.unwrap_or(100).clamp(60, 200)
            } else {
                100
            },
        }
    }

    /// An empty grid with a line between rows, wrapped to the width.
    pub(crate) fn grid(self) -> Table {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// As [`Style::grid`], without lines between rows: for cells of one word.
    pub(crate) fn dense_grid(self) -> Table {
        let mut table = self.grid();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table
    }

    /// A cell in the colour of a verdict.
    pub(crate) fn cell(self, text: String, verdict: Verdict) -> Cell {
        let cell = Cell::new(text).fg(colour(verdict));
        if verdict.is_violation() {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }

    /// A cell without a verdict.
    pub(crate) fn shaded(self, text: String, shade: Shade) -> Cell {
        let cell = Cell::new(text);
        match shade {
            Shade::Plain => cell,
            Shade::Open => cell.fg(Color::Green),
            Shade::Faint => cell.add_attribute(Attribute::Dim),
            Shade::Unsure => cell.fg(Color::Cyan),
            Shade::Mixed => cell.fg(Color::Yellow),
        }
    }

    /// A word in the colour of a verdict.
    pub(crate) fn verdict(self, text: &str, verdict: Verdict) -> String {
        let codes = match verdict {
            Verdict::Enforced | Verdict::Permitted => "32",
            Verdict::Leak | Verdict::Overblock => "1;31",
            Verdict::Unspecified => "36",
            Verdict::Inconclusive => "33",
        };
        self.sgr(codes, text)
    }

    /// Bold text.
    pub(crate) fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    /// Text that steps back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// Text that cries out.
    pub(crate) fn red(self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    /// Text that all is well with.
    pub(crate) fn green(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// Text that warns.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// Text that tells.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.sgr("36", text)
    }

    /// Text in the colour of a run's verdict, bold.
    pub(crate) fn shout(self, text: &str, verdict: RunVerdict) -> String {
        self.sgr(
            match verdict {
                RunVerdict::Enforced => "1;32",
                RunVerdict::PartiallyEnforced | RunVerdict::NotEnforced => "1;31",
                RunVerdict::Inconclusive => "1;33",
            },
            text,
        )
    }

    fn sgr(self, codes: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{codes}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

const fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Enforced | Verdict::Permitted => Color::Green,
        Verdict::Leak | Verdict::Overblock => Color::Red,
        Verdict::Unspecified => Color::Cyan,
        Verdict::Inconclusive => Color::Yellow,
    }
}

/// The verdict's word: violations shout.
pub(crate) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Enforced => "enforced",
        Verdict::Permitted => "permitted",
        Verdict::Leak => "LEAK",
        Verdict::Overblock => "OVERBLOCK",
        Verdict::Unspecified => "unspecified",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

/// Which of two verdicts to show where only one fits: the one a reader must not miss.
pub(crate) const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Leak => 0,
        Verdict::Overblock => 1,
        Verdict::Inconclusive => 2,
        Verdict::Unspecified => 3,
        Verdict::Enforced => 4,
        Verdict::Permitted => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::Style;

    #[test]
    fn colour_needs_a_terminal_and_no_veto() {
        assert!(Style::for_stream(true, None, None).colour);
        assert!(Style::for_stream(true, Some(OsStr::new("")), None).colour);
        assert!(!Style::for_stream(true, Some(OsStr::new("1")), None).colour);
        assert!(!Style::for_stream(false, None, None).colour);
    }

    #[test]
    fn without_colour_no_escape_is_written() {
        assert_eq!(Style::plain().bold("x"), "x");
        assert_eq!(
            Style {
                colour: true,
                width: 80
            }
            .bold("x"),
            "\u{1b}[1mx\u{1b}[0m"
        );
    }
}
