/*!
Texts as people type them, before a classifier reads them: names for emoji and emoticons, words for hashtags, and one
spelling for what has many, as is usual before tweets are classified (Balahur 2013).
*/

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// What is done to a text before a classifier reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preprocessing {
    /// Nothing.
    #[default]
    None,
    /// Emoji and emoticons become their names, hashtags words, web addresses `http`, names of users `@user`; letters and
    /// marks that are repeated three times or more are written twice; quotation marks become straight.
    Plain,
}

/// Emoticons, and the emoji that they stand for.
const EMOTICONS: [(&[&str], &str); 15] = [
    (
        &[
            ":)", ":-)", "=)", ":]", ":))", ":^)", "(:", "^_^", "^^", "(^_^)", ":-]", "c:",
        ],
        "🙂",
    ),
    (
        &[
            ":D", ":-D", "=D", "xD", "XD", "xd", ":d", "8D", "8-D", "=]", ":'D",
        ],
        "😀",
    ),
    (
        &[
            ":(", ":-(", "=(", ":[", ":((", ":-[", "):", ":c", "=[", ":-c",
        ],
        "🙁",
    ),
    (&[";)", ";-)", ";D", ";-D", ";]"], "😉"),
    (
        &[
            ":'(", ":'-(", ";(", ";-(", "T_T", "T.T", "ToT", ";_;", "TT_TT", ";__;",
        ],
        "😢",
    ),
    (
        &[
            ":/", ":-/", ":\\", ":-\\", "=/", "=\\", ":-S", ":S", ":s", "o_O", "O_o", "o.O", "O.o",
        ],
        "😕",
    ),
    (
        &[":P", ":p", ":-P", ":-p", "=P", "=p", ";P", ";p", "xP"],
        "😛",
    ),
    (&["<3", "<33", "<333"], "❤"),
    (&["</3", "<\\3"], "💔"),
    (&[":|", ":-|", "=|"], "😐"),
    (&["-_-", "-__-", "-.-", "¬_¬", ">_>", "<_<"], "😑"),
    (
        &[">:(", ">:-(", ">:[", ">=(", "D:<", ">:/", ">_<", ">.<"],
        "😠",
    ),
    (&["D:", "D-:", "D=", "D8"], "😧"),
    (&[":*", ":-*", "=*", ";*", ":-x"], "😘"),
    (&[":O", ":o", ":-O", ":-o", "=O", ":0", "O_O", "o_o"], "😮"),
];

impl Preprocessing {
    /// Whether a text is read as it is written.
    pub fn is_none(&self) -> bool {
        *self == Preprocessing::None
    }

    /// Whether all letters of a text are capitals, and there are several. User names, addresses and emoticons, which are
    /// replaced, do not count.
    pub fn is_all_capitals(self, text: &str) -> bool {
        let counts = |word: &&str| match self {
            Preprocessing::None => true,
            Preprocessing::Plain => !is_replaced(word),
        };
        let letters = || text.split_whitespace().filter(counts).flat_map(str::chars);
        letters().filter(|c| c.is_uppercase()).nth(1).is_some()
            && !letters().any(char::is_lowercase)
    }

    /// A text as a classifier reads it.
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Preprocessing::None => Cow::Borrowed(text),
            Preprocessing::Plain => Cow::Owned(plain(text)),
        }
    }
}

/// A text with its white space, its words each in plain spelling.
fn plain(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 16);
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        plain_word(word, &mut written);
        written.push_str(&piece[word.len()..]);
    }
    written
}

/// A word without what may stand before an address or a user's name.
fn bare(word: &str) -> &str {
    word.trim_start_matches(['(', '"', '\''])
}

/// Whether a word is replaced by another one.
fn is_replaced(word: &str) -> bool {
    is_address(bare(word)) || is_user(bare(word)) || emoticon(word).is_some()
}

/// Writes a word, with all that no white space separates from it.
fn plain_word(word: &str, written: &mut String) {
    if is_address(bare(word)) {
        written.push_str("http");
        return;
    }
    if is_user(bare(word)) {
        written.push_str("@user");
        return;
    }
    if let Some(emoji) = emoticon(word) {
        written.push_str(&name(emoji));
        return;
    }
    let (text, emoji) = trailing_emoticon(word);
    let text = match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => named_emoji(text),
    };
    written.push_str(&shortened(&without_hash(&text)));
    if let Some(emoji) = emoji {
        written.push(' ');
        written.push_str(&name(emoji));
    }
}

/// Whether a word is an address in the web.
fn is_address(word: &str) -> bool {
    ["http://", "https://", "www."]
        .iter()
        .any(|start| word.starts_with(start))
}

/// Whether a word is the name of a user, with nothing but punctuation after it.
fn is_user(word: &str) -> bool {
    word.strip_prefix('@').is_some_and(|name| {
        let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The emoji that an emoticon stands for.
fn emoticon(word: &str) -> Option<&'static str> {
    let found = EMOTICONS.iter().find(|(forms, _)| forms.contains(&word));
    found.map(|(_, emoji)| *emoji)
}

/// A word without the emoticon at its end, and the emoji of that. What ends in letters is an emoticon only by itself, and
/// so is what looks like an end of brackets or a number.
fn trailing_emoticon(word: &str) -> (&str, Option<&'static str>) {
    let longest = word.char_indices().rev().take(4);
    let starts = longest.map(|(start, _)| start).filter(|&start| start > 0);
    let mut starts: Vec<usize> = starts.collect();
    starts.reverse();
    for start in starts {
        let (before, end) = word.split_at(start);
        let is_mark = !end.chars().any(char::is_alphanumeric) || end.starts_with("<3");
        let splits = !before.ends_with(|c: char| c.is_ascii_digit()) || end.starts_with('<');
        if let Some(emoji) = emoticon(end)
            && is_mark
            && splits
        {
            return (before, Some(emoji));
        }
    }
    (word, None)
}

/// A text in which emoji are replaced by their Unicode names, and curly quotation marks by straight ones.
fn named_emoji(text: &str) -> Cow<'_, str> {
    let mut written = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        match grapheme {
            "’" | "‘" | "ʼ" | "＇" => written.push('\''),
            "“" | "”" | "„" => written.push('"'),
            "™" | "©" | "®" => written.push_str(grapheme),
            _ if grapheme.is_ascii() || emojis::get(grapheme).is_none() => {
                written.push_str(grapheme);
            }
            _ => {
                if !written.is_empty() && !written.ends_with(' ') {
                    written.push(' ');
                }
                written.push_str(&name(grapheme));
                written.push(' ');
            }
        }
    }
    if text.graphemes(true).next_back() != Some(" ") && written.ends_with(' ') {
        written.pop();
    }
    Cow::Owned(written)
}

/// The name of an emoji, without the tone of skin.
fn name(emoji: &str) -> Cow<'static, str> {
    let name = emojis::get(emoji).map_or("", |emoji| emoji.name());
    let plain = name.split(':').next().unwrap_or_default();
    match plain {
        "flag" | "family" => Cow::Borrowed(plain),
        _ => Cow::Owned(plain.replace(['“', '”'], "")),
    }
}

/// A hashtag as words: without its mark, and divided where a capital follows a small letter.
fn without_hash(word: &str) -> Cow<'_, str> {
    let Some(tag) = word
        .strip_prefix('#')
        .filter(|tag| tag.starts_with(char::is_alphanumeric))
    else {
        return Cow::Borrowed(word);
    };
    let mut written = String::with_capacity(tag.len() + 4);
    let mut last_is_small = false;
    for character in tag.chars() {
        if last_is_small && character.is_uppercase() {
            written.push(' ');
        }
        written.push(if character == '_' { ' ' } else { character });
        last_is_small = character.is_lowercase();
    }
    Cow::Owned(written)
}

/// A word in which no letter and no mark of exclamation or question comes more than twice in a row.
fn shortened(word: &str) -> Cow<'_, str> {
    let counts = |c: char| c.is_alphabetic() || matches!(c, '!' | '?');
    let mut run = (None, 0);
    let mut written = String::with_capacity(word.len());
    for character in word.chars() {
        let lower = character.to_lowercase().next();
        run = match run {
            (last, length) if last == lower => (last, length + 1),
            _ => (lower, 1),
        };
        if run.1 <= 2 || !counts(character) {
            written.push(character);
        }
    }
    match written.len() == word.len() {
        true => Cow::Borrowed(word),
        false => Cow::Owned(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_people_mean_them() {
        let table = [
            ("Sooooo GOOOOD!!!!", "Soo GOOD!!"),
            ("www.carousel.example 1000 books...", "http 1000 books..."),
            ("#LoveThis, #bad_day and #1", "Love This, bad day and 1"),
            ("@bob_2: see https://a.b/c", "@user see http"),
            ("write to a@b.example", "write to a@b.example"),
            ("New haircut 😍", "New haircut smiling face with heart-eyes"),
            ("ok👍🏽👍", "ok thumbs up thumbs up"),
            ("“don’t”", "\"don't\""),
            ("it snowed <3", "it snowed red heart"),
            ("thanks:)", "thanks slightly smiling face"),
            ("at 8:30 (or 9:)", "at 8:30 (or 9:)"),
            ("xD", "grinning face"),
            ("Crème brûlée™ ☹", "Crème brûlée™ frowning face"),
            (" a\n\tb  ", " a\n\tb  "),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(Preprocessing::Plain.apply(text), expected);
            assert_eq!(Preprocessing::None.apply(text), text);
        }
    }

    #[test]
    fn capitals_are_seen_beside_what_is_replaced() {
        let capitals = |text| Preprocessing::Plain.is_all_capitals(text);
        for text in ["GREAT 😀", "@bob THIS IS BAD", "NO xD", "SEE https://a.b/c"] {
            assert!(capitals(text), "{text}");
        }
        for text in ["Great 😀", "@BOB this is bad", "I", "10/10", "", "@BOB"] {
            assert!(!capitals(text), "{text}");
        }
        assert!(!Preprocessing::None.is_all_capitals("@bob THIS IS BAD"));
        assert!(Preprocessing::None.is_all_capitals("GREAT 😀"));
    }

    #[test]
    fn every_emoticon_has_a_name_and_is_found_once() {
        let all: Vec<&str> = EMOTICONS
            .iter()
            .flat_map(|(forms, _)| forms.iter().copied())
            .collect();
        for form in &all {
            assert_eq!(
                all.iter().filter(|other| *other == form).count(),
                1,
                "{form}"
            );
            assert!(!name(emoticon(form).unwrap()).is_empty(), "{form}");
        }
    }
}
