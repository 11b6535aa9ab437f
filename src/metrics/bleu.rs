/*!
BLEU (Papineni et al. 2002, “BLEU: a method for automatic evaluation of machine translation”) as sacreBLEU counts it (Post
2018, “A call for clarity in reporting BLEU scores”): words are those of its tokenizer 13a, orders without a match are
smoothed exponentially.
*/

use super::ngrams::{Matches, is_space, matches};

/// Longest n-grams that count.
const ORDERS: usize = 4;

/// How well translations agree with their references.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bleu {
    /// BLEU, from 0 to 100.
    pub score: f64,
    /// Percentages of the translations' n-grams of one to four words that are in the references, smoothed where there are none.
    pub precisions: [f64; ORDERS],
    /// What the score is multiplied by if the translations are shorter than the references: from 0 to 1.
    pub brevity_penalty: f64,
    /// Number of words of the translations.
    pub hypothesis_words: u64,
    /// Number of words of the references.
    pub reference_words: u64,
}

impl Bleu {
    /// What was counted, as sacreBLEU says it; the version is carousel's.
    pub const SIGNATURE: &str = concat!(
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:carousel-",
        env!("CARGO_PKG_VERSION")
    );

    /// BLEU of a corpus: of translations, each with its reference, of which there are as many.
    pub fn corpus<S: AsRef<str>, T: AsRef<str>>(hypotheses: &[S], references: &[T]) -> Self {
        let mut counts = [Matches::default(); ORDERS];
        for (hypothesis, reference) in hypotheses.iter().zip(references) {
            add(&mut counts, hypothesis.as_ref(), reference.as_ref());
        }
        Self::of_counts(&counts, false)
    }

    /// BLEU of the counts of each order. If the order is `effective`, those of which the translations have no n-grams are left
    /// out; otherwise the score is 0 then.
    fn of_counts(counts: &[Matches; ORDERS], effective: bool) -> Self {
        let (words, expected) = (counts[0].hypothesis, counts[0].reference);
        let brevity_penalty = match words {
            _ if words >= expected => 1.0,
            0 => 0.0,
            _ => (1.0 - expected as f64 / words as f64).exp(),
        };
        let mut bleu = Bleu {
            score: 0.0,
            precisions: [0.0; ORDERS],
            brevity_penalty,
            hypothesis_words: words,
            reference_words: expected,
        };
        if counts.iter().all(|order| order.common == 0) {
            return bleu;
        }
        let mut smoothing = 1.0;
        let present = counts.iter().take_while(|order| order.hypothesis > 0);
        let used = if effective {
            present.clone().count()
        } else {
            ORDERS
        };
        for (precision, order) in bleu.precisions.iter_mut().zip(present) {
            let common = match order.common {
                0 => {
                    smoothing *= 2.0;
                    1.0 / smoothing
                }
                common => common as f64,
            };
            *precision = 100.0 * common / order.hypothesis as f64;
        }
        let logarithms: f64 = bleu.precisions[..used].iter().map(|it| it.ln()).sum();
        bleu.score = brevity_penalty * (logarithms / used as f64).exp();
        bleu
    }
}

/// BLEU of one translation, from 0 to 100: of the orders that it is long enough for, as sacreBLEU's `sentence_bleu` has it.
pub fn sentence(hypothesis: &str, reference: &str) -> f64 {
    let mut counts = [Matches::default(); ORDERS];
    add(&mut counts, hypothesis, reference);
    Bleu::of_counts(&counts, true).score
}

/// Adds the counts of a translation.
fn add(counts: &mut [Matches; ORDERS], hypothesis: &str, reference: &str) {
    let [hypothesis, reference] = [hypothesis, reference].map(tokens);
    for (order, count) in (1..).zip(counts) {
        *count += matches(&hypothesis, &reference, order);
    }
}

/// The words of a line as the tokenizer 13a of sacreBLEU divides it, after NIST's mteval-v13a: punctuation is apart, but for
/// points and commas inside of numbers, apostrophes, and hyphens that follow no digit.
fn tokens(line: &str) -> Vec<String> {
    let line = line.trim_end_matches(is_space);
    let plain = line
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let mut spaced = String::with_capacity(2 * plain.len());
    for character in format!(" {plain} ").chars() {
        match is_symbol(character) {
            true => spaced.extend([' ', character, ' ']),
            false => spaced.push(character),
        }
    }
    let is_digit = |it: char| it.is_ascii_digit();
    let is_point = |it: char| matches!(it, '.' | ',');
    let after = |one, two| !is_digit(one) && is_point(two);
    let before = |one, two| is_point(one) && !is_digit(two);
    let hyphen = |one, two| is_digit(one) && two == '-';
    let spaced = replace_pairs(&spaced, after, |one, two| [one, ' ', two, ' ']);
    let spaced = replace_pairs(&spaced, before, |one, two| [' ', one, ' ', two]);
    let spaced = replace_pairs(&spaced, hyphen, |one, two| [one, ' ', two, ' ']);
    let words = spaced.split(is_space).filter(|word| !word.is_empty());
    words.map(str::to_string).collect()
}

/// Whether a character always stands apart: ASCII punctuation but apostrophe, hyphen, point and comma.
fn is_symbol(character: char) -> bool {
    matches!(character, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// The text with each pair of neighbours that `wanted` finds, from the left and without overlap, replaced.
fn replace_pairs(
    text: &str,
    wanted: impl Fn(char, char) -> bool,
    replacement: impl Fn(char, char) -> [char; 4],
) -> String {
    let mut replaced = String::with_capacity(2 * text.len());
    let mut characters = text.chars().peekable();
    while let Some(one) = characters.next() {
        match characters.next_if(|&two| wanted(one, two)) {
            Some(two) => replaced.extend(replacement(one, two)),
            None => replaced.push(one),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_apart_but_for_that_inside_of_numbers() {
        for (line, expected) in [
            ("Mr. O'Neil paid 3.50, no?", "Mr . O'Neil paid 3.50 , no ?"),
            (
                "5-year well-known (x/y)...",
                "5 - year well-known ( x / y ) . . .",
            ),
            ("1,000.", "1,000 ."),
            ("&quot;a&quot; &amp;lt;", "\" a \" <"),
            ("Où ça ? «Là» 10%", "Où ça ? «Là» 10 %"),
            ("  ", ""),
        ] {
            assert_eq!(tokens(line).join(" "), expected, "{line}");
        }
    }

    #[test]
    fn nothing_in_common_is_nought_and_the_same_is_a_hundred() {
        let line = "The dog sleeps on the sofa.";
        let same = Bleu::corpus(&[line], &[line]);
        assert!((same.score - 100.0).abs() < 1e-9, "{same:?}");
        assert_eq!(Bleu::corpus(&["a b c d"], &[line]).score, 0.0);
        let none = Bleu::corpus(&[""], &[line]);
        assert_eq!((none.score, none.brevity_penalty), (0.0, 0.0));
    }

    #[test]
    fn a_short_sentence_counts_by_the_orders_it_has() {
        assert!((sentence("Good evening", "Good evening") - 100.0).abs() < 1e-9);
        assert_eq!(
            Bleu::corpus(&["Good evening"], &["Good evening"]).score,
            0.0
        );
    }
}
