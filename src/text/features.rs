/*!
Words of a text and what the linear classifier sees of them, as hashes: n-grams of words (Wang and Manning 2012), words after
a negation (Pang, Lee and Vaithyanathan 2002), and pieces of words (Bojanowski et al. 2017).
*/

use super::preprocessing::Preprocessing;

/// Largest number of words of an n-gram.
pub const MAX_NGRAM: usize = 3;
/// Numbers of characters of a piece of a word, which has a mark at either end.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;
/// Smallest number of characters of a word that has pieces.
const SHORTEST_WITH_PIECES: usize = 3;
/// Largest number of words of a text whose words have pieces. In long texts words are known enough, and their many pieces
/// take accuracy and time.
const LONGEST_WITH_PIECES: usize = 120;
/// How many words a negation reaches.
const REACH: usize = 3;
/// Words that negate those after them, besides those that end in n't.
const NEGATIONS: [&str; 18] = [
    "not", "no", "never", "nothing", "nor", "none", "nobody", "neither", "hardly", "barely",
    "without", "cannot", "cant", "dont", "wont", "didnt", "isnt", "wasnt",
];
/// Where a negation ends.
const CLAUSE_ENDS: [&str; 4] = ["!", "?", "but", "however"];
/// What is hashed before a word after a negation, and before a piece of a word, so that neither is taken for a word.
const NEGATED: &str = "\u{1}not";
const PIECE: &str = "\u{1}piece";

/// The words of a text in lower case, and its exclamation and question marks. Other punctuation is left out.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        // An apostrophe between letters is part of the word.
        let inner = matches!(character, '\'' | '’')
            && !word.is_empty()
            && characters.peek().is_some_and(|next| next.is_alphabetic());
        if inner {
            word.push('\'');
        } else if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        } else {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if matches!(character, '!' | '?') {
                words.push(character.to_string());
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Hashes of all n-grams of one to `longest` words, sorted, without duplicates.
pub fn ngram_hashes(words: &[String], longest: usize) -> Vec<u32> {
    let hashes = (0..words.len()).flat_map(|first| {
        let end = words.len().min(first + longest);
        (first + 1..=end).map(move |last| ngram_hash(&words[first..last]))
    });
    distinct(hashes.collect())
}

/// What the linear classifier sees of a text, in groups of hashes, each sorted, without duplicates: n-grams of words, and of
/// a text in plain spelling also words after a negation, and pieces of words. Which features there are is part of what a
/// checkpoint means, so this must never change for a kind of preprocessing.
pub fn groups(words: &[String], preprocessing: Preprocessing) -> Vec<Vec<u32>> {
    let ngrams = ngram_hashes(words, MAX_NGRAM);
    match preprocessing {
        Preprocessing::None => vec![ngrams],
        Preprocessing::Plain => {
            let all = [ngrams, negated(words)].concat();
            vec![distinct(all), pieces(words)]
        }
    }
}

/// Hashes of the words that a negation reaches.
fn negated(words: &[String]) -> Vec<u32> {
    let mut left = 0;
    let mut hashes = Vec::new();
    for word in words {
        if CLAUSE_ENDS.contains(&&word[..]) {
            left = 0;
        } else if NEGATIONS.contains(&&word[..]) || word.ends_with("n't") {
            left = REACH;
        } else if left > 0 {
            hashes.push(hash([NEGATED, word]));
            left -= 1;
        }
    }
    hashes
}

/// Hashes of the pieces of words, sorted, without duplicates; none of a long text.
fn pieces(words: &[String]) -> Vec<u32> {
    if words.len() > LONGEST_WITH_PIECES {
        return Vec::new();
    }
    let mut hashes = Vec::new();
    for word in words {
        let marked = format!("<{word}>");
        let starts: Vec<usize> = marked.char_indices().map(|(start, _)| start).collect();
        let starts: Vec<usize> = starts.into_iter().chain([marked.len()]).collect();
        let characters = starts.len() - 1;
        if characters < SHORTEST_WITH_PIECES + 2 {
            continue;
        }
        for length in PIECES {
            let ends = starts.iter().zip(starts.iter().skip(length));
            hashes.extend(ends.map(|(&start, &end)| hash([PIECE, &marked[start..end]])));
        }
    }
    distinct(hashes)
}

/// Hashes, sorted, without duplicates.
fn distinct(mut hashes: Vec<u32>) -> Vec<u32> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Hash of an n-gram: 64-bit FNV-1a over the words' bytes with 0xFF, which no UTF-8 contains, after each word; folded to
/// 32 bits. Hashes are stored in checkpoints, so this must never change.
pub fn ngram_hash(words: &[String]) -> u32 {
    hash(words.iter().map(String::as_str))
}

/// Hash of some strings, as [`ngram_hash`].
fn hash<'w>(words: impl IntoIterator<Item = &'w str>) -> u32 {
    let bytes = words
        .into_iter()
        .flat_map(|word| word.bytes().chain([0xFF]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_in_lower_case_without_punctuation() {
        assert_eq!(
            words("Don't—it’s NOT “good”!? 10/10 …'tis"),
            ["don't", "it's", "not", "good", "!", "?", "10", "10", "tis"]
        );
        assert!(words(" .,- ").is_empty());
    }

    #[test]
    fn ngram_hashes_are_distinct_and_stable() {
        let some = words("not good not good");
        let count = |longest| ngram_hashes(&some, longest).len();
        assert_eq!((count(1), count(2), count(3)), (2, 4, 6));
        // The bytes of "not" and "good", with 0xFF after each.
        assert_eq!(ngram_hash(&some[..2]), fnv1a_reference(b"not\xFFgood\xFF"));
        assert_ne!(ngram_hash(&words("ab c")), ngram_hash(&words("a bc")));
    }

    #[test]
    fn plain_texts_have_negated_words_and_pieces() {
        let texts = words("She isn't kind to us! good");
        let plain = groups(&texts, Preprocessing::Plain);
        let [all, pieces] = &plain[..] else {
            panic!("two groups");
        };
        let ngrams = ngram_hashes(&texts, MAX_NGRAM);
        assert_eq!(
            groups(&texts, Preprocessing::None),
            std::slice::from_ref(&ngrams)
        );
        let negated: Vec<u32> = ["kind", "to", "us"]
            .map(|word| hash([NEGATED, word]))
            .to_vec();
        assert_eq!(*all, distinct([ngrams, negated].concat()));
        // "to", "us" and "!" are too short; <she> has 3 + 2 + 1 pieces, <isn't> 5 + 4 + 3, <kind> and <good> 4 + 3 + 2 each.
        assert_eq!(pieces.len(), 6 + 12 + 9 + 9);
        assert!(pieces.contains(&hash([PIECE, "kind>"])));
        let long = vec!["word".to_string(); LONGEST_WITH_PIECES + 1];
        assert!(groups(&long, Preprocessing::Plain)[1].is_empty());
    }

    /// Another implementation of FNV-1a, folded to 32 bits.
    fn fnv1a_reference(bytes: &[u8]) -> u32 {
        let mut hash = 14_695_981_039_346_656_037u64;
        for byte in bytes {
            hash ^= u64::from(*byte);
            hash = (u128::from(hash) * 1_099_511_628_211 % (1 << 64)) as u64;
        }
        (hash >> 32) as u32 ^ hash as u32
    }
}
