/*!
Data shown to people: control characters as escapes, so that a label or a word breaks no line and no column, and does
nothing to a terminal.
*/

use std::borrow::Cow;
use std::fmt::Write;

/// A piece of data, such as a label, on one line: `\t`, `\n`, `\r`, `\x1b`, `\u{202e}` for characters that control how
/// text is shown, and `\\` for a backslash, so that different data are shown differently.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, |character| character == '\\' || controls(character))
}

/// A text of several lines, whose line ends stay: other control characters as [`escaped`] has them.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| character != '\n' && controls(character))
}

/// A line of JSON that holds the same data: characters that control how text is shown as `\u009b`. JSON itself has escapes
/// for those below U+0020 only.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    if !json.contains(controls) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        match controls(character) {
            true => {
                let _ = write!(shown, "\\u{:04x}", u32::from(character));
            }
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Data on one line, separated by commas.
pub fn escaped_list<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<Cow<str>> = items.iter().map(|item| escaped(item.as_ref())).collect();
    items.join(", ")
}

/// Whether a character controls how text is shown: control characters, line separators, and those that turn the direction
/// of what follows.
fn controls(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, is_special: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_special) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            other if !is_special(other) => shown.push(other),
            '\\' => shown.push_str("\\\\"),
            '\t' => shown.push_str("\\t"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            _ => {
                let code = u32::from(character);
                let _ = match code {
                    ..0x100 => write!(shown, "\\x{code:02x}"),
                    _ => write!(shown, "\\u{{{code:x}}}"),
                };
            }
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes() {
        let table = [
            ("plain, “quoted” ✓ שלום", "plain, “quoted” ✓ שלום"),
            ("a\tb\r\nc", "a\\tb\\r\\nc"),
            ("\x1b[31mred\x7f\u{9b}", "\\x1b[31mred\\x7f\\x9b"),
            (
                "\0\u{202e}\u{2028}\u{2066}",
                "\\x00\\u{202e}\\u{2028}\\u{2066}",
            ),
            ("a\\tb", "a\\\\tb"),
        ];
        for (text, expected) in table {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
        assert!(matches!(escaped("plain"), Cow::Borrowed(_)));
        assert_eq!(escaped_list(&["a,b", "c\n"]), "a,b, c\\n");
    }

    #[test]
    fn json_means_the_same_without_what_a_terminal_obeys() {
        let text = "\x1b[31m\u{9b}31m\x7f\u{202e}\u{2028}\u{2066} ✓ שלום \"\\\t";
        let value = serde_json::json!({ text: [text, 1.5] });
        let line = value.to_string();
        let shown = escaped_json(&line);
        assert!(!shown.contains(controls), "{shown}");
        assert!(shown.contains("\\u009b31m\\u007f\\u202e") && shown.contains("✓ שלום"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert!(matches!(escaped_json("{\"a\":\"é\"}"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(escaped_lines("a\n\tb\\\x07\n"), "a\n\\tb\\\\x07\n");
        assert_eq!(escaped_lines("C:\\a\n"), "C:\\a\n");
    }
}
