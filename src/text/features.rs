/*!
Words of a text and hashes of its word n-grams: the features of the linear classifier (Wang and Manning 2012).
*/

/// Largest number of words of an n-gram.
pub const MAX_NGRAM: usize = 3;

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
    let mut hashes: Vec<u32> = (0..words.len())
        .flat_map(|first| {
            let end = words.len().min(first + longest);
            (first + 1..=end).map(move |last| ngram_hash(&words[first..last]))
        })
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Hash of an n-gram: 64-bit FNV-1a over the words' bytes with 0xFF, which no UTF-8 contains, after each word; folded to
/// 32 bits. Hashes are stored in checkpoints, so this must never change.
pub fn ngram_hash(words: &[String]) -> u32 {
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
