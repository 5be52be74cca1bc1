//! Strings from outside (names, labels, reasons, file paths) made harmless for a terminal.

use std::fmt::Write;

/// The longest an outside string may get on a terminal, in characters.
pub(crate) const LIMIT: usize = 200;

/// The text with everything that could move a cursor, reorder or hide text spelled out, cut at 200 characters.
#[must_use]
pub fn escape(text: &str) -> String {
    escape_to(text, LIMIT)
}

/// As [`escape`], with another bound. An escape counts as one character; the cut shows as `…`.
pub(crate) fn escape_to(text: &str, limit: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(limit.saturating_add(8)));
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            safe.push('…');
            break;
        }
        if is_hostile(character) {
            // Writing to a String cannot fail.
            let _ = match u32::from(character) {
                code @ 0..=0xff => write!(safe, "\\x{code:02x}"),
                code => write!(safe, "\\u{{{code:x}}}"),
            };
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Whether a terminal or a reader may be deceived by a character: C0 and C1 controls (ESC, CR, LF, CSI among them),
/// the bidirectional controls (Unicode Standard Annex 9), line separators, and what has no width.
pub(super) const fn is_hostile(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LIMIT, escape, escape_to, is_hostile};

    #[test]
    fn names_as_kubernetes_allows_them_stay_as_they_are() {
        for name in [
            "netpol-demo/frontend",
            "10.0.0.1",
            "NETFILTER_DROP at nft_do_chain+0x5c",
            "Größe",
            "→",
        ] {
            assert_eq!(escape(name), name);
        }
    }

    #[test]
    fn what_drives_a_terminal_is_spelled_out() {
        assert_eq!(escape("a\u{1b}[2Jb"), "a\\x1b[2Jb");
        assert_eq!(
            escape("a\r\nb\t\u{9b}31m\u{7f}"),
            "a\\x0d\\x0ab\\x09\\x9b31m\\x7f"
        );
        assert_eq!(
            escape("\u{202e}evil\u{2066}\u{200b}\u{2028}"),
            "\\u{202e}evil\\u{2066}\\u{200b}\\u{2028}"
        );
    }

    #[test]
    fn a_long_string_is_cut_and_shows_it() {
        let cut = escape(&"é".repeat(LIMIT + 1));
        assert_eq!((cut.chars().count(), cut.ends_with('…')), (LIMIT + 1, true));
        assert_eq!(escape(&"é".repeat(LIMIT)).chars().count(), LIMIT);
        assert_eq!(escape_to("abc", 2), "ab…");
    }

    proptest! {
        #[test]
        fn nothing_hostile_survives(text in any::<String>()) {
            prop_assert!(!escape(&text).chars().any(is_hostile));
        }
    }
}
