//! Text from programs, made safe for a terminal and short.

/// Escapes control characters and cuts to `limit` characters.
pub(super) fn escape(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for character in text.chars().take(limit) {
        match character {
            '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_that_moves_a_cursor_survives() {
        assert_eq!(escape("a\u{1b}[2Jb\r", 80), "a\\u{1b}[2Jb\\r");
        assert_eq!(escape("it's \"so\"", 80), "it's \"so\"");
        assert_eq!(escape("abcdef", 3), "abc…");
        assert_eq!(escape("abc", 3), "abc");
    }
}
