//! What `doctor` looked at: a line each, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{document_text, escape};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// What.
    pub what: String,
    /// Whether it is as it should be; none where that could not be told.
    pub ok: Option<bool>,
    /// Without it nothing works; otherwise something is lost.
    pub required: bool,
    /// What it is good for, or what its lack costs.
    pub detail: String,
}

impl Checked {
    /// A thing with what it is good for and what its lack costs.
    #[must_use]
    pub fn new(what: &str, ok: bool, required: bool, good: &str, lack: &str) -> Self {
        Self {
            what: what.to_owned(),
            ok: Some(ok),
            required,
            detail: if ok { good } else { lack }.to_owned(),
        }
    }

    /// A thing that is as it should be.
    #[must_use]
    pub fn good(what: &str, detail: &str) -> Self {
        Self::new(what, true, false, detail, "")
    }

    /// A thing that could not be looked at, and why.
    #[must_use]
    pub fn untold(what: &str, required: bool, why: &str) -> Self {
        Self {
            what: what.to_owned(),
            ok: None,
            required,
            detail: format!("cannot be told: {why}"),
        }
    }

    /// Whether nothing works with it as it is. What cannot be told may work.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.required && self.ok == Some(false)
    }
}

/// A line each, in columns.
#[must_use]
pub fn checked_table(all: &[Checked]) -> String {
    let width = all
        .iter()
        .map(|one| escape(&one.what).to_string().chars().count())
        .fold(25, usize::max)
        + 1;
    let mut text = String::new();
    for one in all {
        let mark = match (one.ok, one.required) {
            (Some(true), _) => "ok",
            (Some(false), true) => "MISSING",
            (Some(false), false) => "lacking",
            (None, _) => "unknown",
        };
        let what = escape(&one.what).to_string();
        let _ = writeln!(text, "{mark:<9}{what:<width$}{}", escape(&one.detail));
    }
    text
}

/// A list of objects.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn checked_json(all: &[Checked]) -> serde_json::Result<String> {
    document_text(all)
}

#[cfg(test)]
mod tests {
    use super::{Checked, checked_json, checked_table};

    #[test]
    fn each_is_one_line_and_nothing_hostile_reaches_the_terminal() {
        let all = [
            Checked::new("BTF", true, true, "good", "bad"),
            Checked::new("rights", false, true, "good", "bad"),
            Checked::new("tcx", false, false, "good", "bad"),
            Checked::untold("a name that is longer than the column", true, "\u{1b}[31m\nno"),
        ];
        let text = checked_table(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let json = checked_json(&[Checked::good("a", "\u{202e}b")]).unwrap();
        assert!(json.is_ascii() && json.contains(r"\u202eb"), "{json}");
        for (line, mark) in lines.iter().zip(["ok ", "MISSING ", "lacking ", "unknown "]) {
            assert!(line.starts_with(mark), "{line}");
        }
        let column = lines
            .iter()
            .filter_map(|line| line.find("bad"))
            .collect::<Vec<_>>();
        assert!(matches!(column.as_slice(), [a, b] if a == b), "{text}");
    }

    #[test]
    fn only_what_is_surely_missing_and_required_is_fatal() {
        let fatal = |one: Checked| one.is_fatal();
        assert!(fatal(Checked::new("a", false, true, "", "")));
        assert!(!fatal(Checked::new("a", false, false, "", "")));
        assert!(!fatal(Checked::new("a", true, true, "", "")));
        assert!(!fatal(Checked::untold("a", true, "")));
    }
}
