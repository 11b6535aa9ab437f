/*!
Words, pairs and triples of words of a text, as numbers: what a linear classifier goes by (Wang and Manning 2012).
*/

/// The most words in a row that count as one feature.
pub const LONGEST: usize = 3;

/// The words of a text in lower case, and its exclamation and question marks: what is said, not how it is set.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        // An apostrophe within a word belongs to it.
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

/// The numbers of all runs of one to `longest` words, ordered, each once.
pub fn numbers(words: &[String], longest: usize) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..words.len())
        .flat_map(|first| {
            let end = words.len().min(first + longest);
            (first + 1..=end).map(move |last| number(&words[first..last]))
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The number of a run of words: FNV-1a over their bytes, a byte that no text has after each, and folded to 32 bits. Numbers
/// stand in checkpoints, so this never changes.
pub fn number(words: &[String]) -> u32 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0xFF]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_is_said() {
        assert_eq!(
            words("Don't—it’s NOT “good”!? 10/10 …'tis"),
            ["don't", "it's", "not", "good", "!", "?", "10", "10", "tis"]
        );
        assert!(words(" .,- ").is_empty());
    }

    #[test]
    fn runs_are_numbered_once_and_for_all() {
        let some = words("not good not good");
        let count = |longest| numbers(&some, longest).len();
        assert_eq!((count(1), count(2), count(3)), (2, 4, 6));
        // By another implementation of FNV-1a: of "not", FF, "good", FF.
        assert_eq!(number(&some[..2]), by_hand(b"not\xFFgood\xFF"));
        assert_ne!(number(&words("ab c")), number(&words("a bc")));
    }

    fn by_hand(bytes: &[u8]) -> u32 {
        let mut hash = 14_695_981_039_346_656_037u64;
        for byte in bytes {
            hash ^= u64::from(*byte);
            hash = (u128::from(hash) * 1_099_511_628_211 % (1 << 64)) as u64;
        }
        (hash >> 32) as u32 ^ hash as u32
    }
}
