/*!
What a source and a target look like: enough to say that a text to be translated is in the wrong language.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pair::Pair;

/// Words of each language that are kept.
const WORDS: usize = 200;
/// Fewest occurrences of a word that is kept.
const FEWEST: usize = 3;
/// How much likelier a word must be in its language than in the other one.
const RATIO: f64 = 20.0;
/// Fewest words of the target, as a fraction of all words, in a text that is taken for one.
const SHARE: f64 = 0.15;
/// Of so many letters, a single one in its block is a slip of the keyboard.
const STRAY: usize = 10_000;
/// Bits of a character's number that are left away, so that the characters of an alphabet fall together.
const BLOCK_BITS: u32 = 7;

/// Frequent words that tell the languages apart, and the characters of the sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageProfile {
    /// Words of sources that targets hardly have, in lower case, sorted.
    pub source_words: Vec<String>,
    /// Words of targets that sources hardly have.
    pub target_words: Vec<String>,
    /// The blocks of 128 characters that the letters of sources are from, but for stray ones.
    pub source_blocks: Vec<u32>,
}

/// Why a text is no likely source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its words are those of the targets.
    LooksLikeTarget,
    /// Most of its letters are of a script that no source had.
    UnknownScript,
}

impl Doubt {
    /// What it means for the user.
    pub fn message(self) -> &'static str {
        match self {
            Doubt::LooksLikeTarget => {
                "the text looks like the language that this model translates into, not from; its translation means little"
            }
            Doubt::UnknownScript => {
                "the text is in a script that this model has never read; its translation means nothing"
            }
        }
    }
}

impl LanguageProfile {
    /// The profile of training pairs.
    pub fn of(pairs: &[Pair]) -> Self {
        let sources = counts(pairs.iter().map(|pair| &pair.source[..]));
        let targets = counts(pairs.iter().map(|pair| &pair.target[..]));
        LanguageProfile {
            source_words: telling(&sources, &targets),
            target_words: telling(&targets, &sources),
            source_blocks: blocks(pairs),
        }
    }

    /// What speaks against a text, or several, as a source; `None` if nothing does.
    pub fn doubt<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Option<Doubt> {
        let (mut all, mut own, mut other) = (0, 0, 0);
        let (mut known_letters, mut all_letters) = (0, 0);
        for text in texts {
            for word in words(text) {
                let is_among = |words: &[String]| words.binary_search(&word).is_ok() as usize;
                all += 1;
                own += is_among(&self.source_words);
                other += is_among(&self.target_words);
            }
            for letter in letters(text) {
                all_letters += 1;
                known_letters += self.source_blocks.contains(&block(letter)) as usize;
            }
        }
        match (2 * known_letters, other) {
            (known, _) if known < all_letters => Some(Doubt::UnknownScript),
            (_, 2..) if other > 3 * own && other as f64 >= SHARE * all as f64 => {
                Some(Doubt::LooksLikeTarget)
            }
            _ => None,
        }
    }
}

/// The blocks of the sources' letters, without those of a stray letter, such as a Cyrillic а in an English word.
fn blocks(pairs: &[Pair]) -> Vec<u32> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for letter in pairs.iter().flat_map(|pair| letters(&pair.source)) {
        *counts.entry(block(letter)).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let counts = counts.into_iter();
    let blocks = counts.filter(|(_, count)| count * STRAY >= all);
    blocks.map(|(block, _)| block).collect()
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|letter| letter.is_alphabetic())
}

fn block(letter: char) -> u32 {
    letter as u32 >> BLOCK_BITS
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_alphabetic());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn counts<'t>(texts: impl Iterator<Item = &'t str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in texts.flat_map(words) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

/// The most frequent words of one language that the other one hardly has, sorted.
fn telling(own: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>) -> Vec<String> {
    let total = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>().max(1) as f64;
    let (own_total, other_total) = (total(own), total(other));
    let tells = |(word, count): &(&String, &usize)| {
        let elsewhere = other.get(*word).copied().unwrap_or(0) as f64;
        **count >= FEWEST && **count as f64 / own_total > RATIO * elsewhere / other_total
    };
    let mut words: Vec<(&String, &usize)> = own.iter().filter(tells).collect();
    words.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let mut words: Vec<String> = (words.into_iter().take(WORDS))
        .map(|(word, _)| word.clone())
        .collect();
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_other_language_or_script_is_doubted() {
        let pair = |source: &str, target: &str| Pair {
            source: source.to_string(),
            target: target.to_string(),
        };
        let pairs: Vec<Pair> = (0..5)
            .flat_map(|_| {
                [
                    pair("the cat sleeps on the table", "le chat dort sur la table"),
                    pair("we are in the garden", "nous sommes dans le jardin"),
                ]
            })
            .collect();
        // One letter of another alphabet is no alphabet.
        let stray = pair("Seoul is the capit\u{430}l", "Séoul est la capitale");
        let pairs: Vec<Pair> = (std::iter::repeat_n(pairs, 100).flatten())
            .chain([stray])
            .collect();
        let profile = LanguageProfile::of(&pairs);
        let doubt = |text: &str| profile.doubt([text]);
        assert_eq!(doubt("The dog sleeps in the house"), None);
        assert_eq!(
            doubt("Le chien dort dans le jardin"),
            Some(Doubt::LooksLikeTarget)
        );
        assert_eq!(doubt("table"), None);
        assert_eq!(doubt("Zebra"), None);
        assert_eq!(doubt("12 + 7 = 19"), None);
        assert_eq!(doubt("Где вокзал?"), Some(Doubt::UnknownScript));
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(
            serde_json::from_str::<LanguageProfile>(&json).unwrap(),
            profile
        );
    }
}
