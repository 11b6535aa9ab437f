/*!
A line divided into sentences, so that each can be translated alone and the results joined again.
*/

/// Words before a full stop that does not end a sentence, in lower case and without the stop.
const ABBREVIATIONS: [&str; 38] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "e.g", "i.e", "cf", "approx", "dept",
    "inc", "ltd", "corp", "gen", "col", "sgt", "capt", "rev", "hon", "m", "mme", "mlle", "hr",
    "fr", "z.b", "d.h", "u.a", "bzw", "ca", "bspw", "abb", "sog", "vgl", "str",
];
/// Those that stand before a number.
const BEFORE_NUMBERS: [&str; 6] = ["no", "nr", "vol", "fig", "p", "pp"];

/// The sentences of a line, each with the white space after it: joined, they are the line.
pub fn sentences(line: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut begin = 0;
    let characters: Vec<(usize, char)> = line.char_indices().collect();
    let mut at = 0;
    while at < characters.len() {
        if !is_end(characters[at].1) {
            at += 1;
            continue;
        }
        let mark = at;
        while at < characters.len() && (is_end(characters[at].1) || is_closing(characters[at].1)) {
            at += 1;
        }
        // French sets a space before what closes a quotation.
        if let Some([(_, space), (_, '»')]) = characters.get(at..at + 2)
            && space.is_whitespace()
        {
            at += 2;
        }
        let spaces = at;
        while at < characters.len() && characters[at].1.is_whitespace() {
            at += 1;
        }
        let wide = is_wide(characters[mark].1);
        let next = characters.get(at).map(|&(_, next)| next);
        let ends = match next {
            None => true,
            Some(next) => {
                let before = &line[begin..characters[mark].0];
                (at > spaces || wide)
                    && begins(next)
                    && !is_abbreviation(before, &characters[mark..spaces], next)
            }
        };
        if ends {
            let end = characters.get(at).map_or(line.len(), |&(end, _)| end);
            sentences.push(&line[begin..end]);
            begin = end;
        }
    }
    if begin < line.len() {
        sentences.push(&line[begin..]);
    }
    sentences
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…') || is_wide(c)
}

/// The marks of scripts that set no space after them.
fn is_wide(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '．')
}

fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '“' | '」')
}

/// Whether a sentence may begin with this.
fn begins(c: char) -> bool {
    !c.is_lowercase() && !matches!(c, ',' | ';' | ':' | '-' | '–' | '—' | '!' | '?')
}

/// Whether a single full stop after `before` belongs to an abbreviation, an initial or an ordinal number; `next` follows.
fn is_abbreviation(before: &str, marks: &[(usize, char)], next: char) -> bool {
    if !matches!(marks, [(_, '.')]) {
        return false;
    }
    let divides = |c: char| c.is_whitespace() || is_closing(c) || c == '(';
    let word = before.rsplit(divides).next().unwrap_or(before);
    let lower = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    let number = !word.is_empty() && word.len() <= 2 && word.chars().all(|c| c.is_ascii_digit());
    let numbered = next.is_ascii_digit() && BEFORE_NUMBERS.contains(&&lower[..]);
    initial || number || numbered || ABBREVIATIONS.contains(&&lower[..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (line, expected) in [
            ("One. Two! Three?", &["One. ", "Two! ", "Three?"][..]),
            (
                "Mr. Smith met Dr. J. Brown.",
                &["Mr. Smith met Dr. J. Brown."],
            ),
            ("It costs 3.50. Cheap!", &["It costs 3.50. ", "Cheap!"]),
            ("“Go.” He went.", &["“Go.” ", "He went."]),
            (
                "Wait... what? Yes…  No",
                &["Wait... what? ", "Yes…  ", "No"],
            ),
            ("« Va ! » Il part.", &["« Va ! » ", "Il part."]),
            ("I said no. He left.", &["I said no. ", "He left."]),
            ("Take bus No. 7 home.", &["Take bus No. 7 home."]),
            ("Où est-il ? Ici !", &["Où est-il ? ", "Ici !"]),
            ("Am 3. Mai kam er. Gut.", &["Am 3. Mai kam er. ", "Gut."]),
            (
                "See www.example.org for it.",
                &["See www.example.org for it."],
            ),
            ("今日は。元気？", &["今日は。", "元気？"]),
            ("It was I. You knew.", &["It was I. ", "You knew."]),
            ("no end", &["no end"]),
            ("", &[]),
            ("?!", &["?!"]),
        ] {
            assert_eq!(sentences(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn joined_sentences_are_the_line(line in "[a-zA-Z0-9 .!?…\"”)。é]{0,60}") {
            let sentences = sentences(&line);
            prop_assert_eq!(sentences.concat(), &line[..]);
            prop_assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
        }
    }
}
