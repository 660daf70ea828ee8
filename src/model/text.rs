//! Texts for people that come from anywhere: what is written by kubeadm, AWS, other machines. They command no terminal, and what is to be
//! one line is one.

/// What a text that was cut off ends with.
const MORE: &str = "...";

/// The text on one line: line breaks and the blanks around them become one space, and other control characters are shown by their
/// number.
#[must_use]
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join(" ")
}

/// The text with its line breaks, but without any other character that commands a terminal, or turns the direction of writing: these
/// are shown by their number, as `\u{1b}`. Tabulators become spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            commands if is_command(commands) => shown.extend(commands.escape_unicode()),
            other => shown.push(other),
        }
    }
    shown
}

/// Whether a terminal does something for this character in place of showing it.
#[must_use]
pub fn is_command(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a text, of at most so many bytes.
#[must_use]
pub fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest.saturating_sub(MORE.len()));
    format!("{}{MORE}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal() {
        let rows = [
            ("plain \u{fc}mlaut", "plain \u{fc}mlaut", "plain \u{fc}mlaut"),
            ("red \u{1b}[31m", "red \\u{1b}[31m", "red \\u{1b}[31m"),
            ("bell\u{7}\u{7f}\u{9b}2J", "bell\\u{7}\\u{7f}\\u{9b}2J", "bell\\u{7}\\u{7f}\\u{9b}2J"),
            ("a\r\n  b\n\n\tc\n", "a\\u{d}\n  b\n\n c\n", "a b c"),
            ("over\rwritten", "over\\u{d}written", "over written"),
            ("turned \u{202e}txt", "turned \\u{202e}txt", "turned \\u{202e}txt"),
            ("two\u{2028}lines", "two\\u{2028}lines", "two\\u{2028}lines"),
            ("", "", ""),
        ];
        for (text, lines, line) in rows {
            assert_eq!(plain(text), lines);
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let rows =
            [("short", 5, "short"), ("longer", 5, "lo..."), ("\u{fc}\u{fc}\u{fc}", 5, "\u{fc}..."), ("ab", 1, "...")];
        for (text, longest, expected) in rows {
            assert_eq!(cut(text, longest), expected);
        }
    }
}
