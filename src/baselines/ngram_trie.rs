/*!
The n-grams of a text and their counts, as a tree: below each n-gram stand the tokens that follow it.

One sort makes the tree: the tokens that begin at each position are packed into a number, and of the sorted numbers each
n-gram is a run, at any length.
*/

use rustc_hash::FxHashSet;

use crate::checkpoint::config::MOST_NGRAM_TOKENS;
use crate::text::corpus::Ids;

/// One of this many n-grams is counted to estimate how many there are.
const SAMPLED: u64 = 64;

/// Which n-grams of a text are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NgramShape {
    /// Most tokens of an n-gram.
    pub order: usize,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// The token that precedes the text.
    pub line_end: u32,
    /// Whether no n-gram reaches across a line end: it is then the first token of the next line's.
    pub by_line: bool,
}

/// The n-grams of a text, from the shortest to the longest.
#[derive(Clone, Debug, PartialEq)]
pub struct NgramTrie {
    /// Those of each length.
    pub levels: Vec<Level>,
}

/// The n-grams of one length, sorted by their first token, then by the second, and so on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// The last token of each. The first level has every token of the vocabulary, also one that does not occur.
    pub tokens: Vec<u32>,
    /// The count of each: below the longest, of the different tokens that precede it.
    pub counts: Vec<u32>,
    /// Where those that continue it begin in the next level, and last where these end; empty in the last level.
    pub children: Vec<u32>,
}

impl NgramShape {
    /// Bits of a token in a packed n-gram; 0 stands for no token.
    fn bits(&self) -> u32 {
        u64::BITS - (self.vocab_size as u64).leading_zeros()
    }

    /// The highest order that can be packed for this vocabulary.
    pub fn most_tokens(&self) -> usize {
        MOST_NGRAM_TOKENS.min((u128::BITS / self.bits()) as usize)
    }

    /// About how many n-grams of each length a text has.
    pub fn estimate(&self, ids: &Ids) -> Vec<u64> {
        let mut sampled = vec![FxHashSet::default(); self.order];
        let mut recent = [self.line_end; MOST_NGRAM_TOKENS];
        for (position, id) in ids.read(0..ids.len()).enumerate() {
            recent.copy_within(0..MOST_NGRAM_TOKENS - 1, 1);
            recent[0] = id;
            let mut hash = 0u64;
            let known = self.order.min(position + 2);
            for (length, &token) in recent[..known].iter().enumerate() {
                hash = (hash.rotate_left(5) ^ u64::from(token)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                hash ^= hash >> 32;
                if hash.wrapping_mul(0xD6E8_FEB8_6659_FD93) < u64::MAX / SAMPLED {
                    sampled[length].insert(hash);
                }
                if self.by_line && length > 0 && token == self.line_end {
                    break;
                }
            }
        }
        let estimates = sampled.iter().map(|set| SAMPLED * set.len() as u64);
        estimates.map(|n| n.max(self.vocab_size as u64)).collect()
    }

    /// The token sequences that begin at each position of a text, sorted.
    fn sorted_keys(&self, ids: &Ids) -> Vec<u128> {
        let (bits, order) = (self.bits(), self.order as u32);
        let first = |token: u32| u128::from(token + 1) << (bits * (order - 1));
        let mut keys = Vec::with_capacity(ids.len() + 1);
        let mut following = 0;
        let mut next = None;
        let tokens = ids.read(0..ids.len()).rev();
        // Alone, the token that precedes the text is none of it.
        let preceding = (order > 1).then_some(self.line_end);
        for token in tokens.chain(preceding) {
            if self.by_line && next == Some(self.line_end) {
                following = first(self.line_end);
            }
            // What is shifted beyond the last place is cut off.
            following = first(token) | (following >> bits);
            keys.push(following);
            next = Some(token);
        }
        sort(&mut keys);
        keys
    }
}

/// Sorts on two threads.
fn sort(keys: &mut [u128]) {
    let middle = keys.len() / 2;
    if middle == 0 {
        return;
    }
    keys.select_nth_unstable(middle);
    let (low, high) = keys.split_at_mut(middle);
    std::thread::scope(|scope| {
        scope.spawn(|| low.sort_unstable());
        high.sort_unstable();
    });
}

impl NgramTrie {
    /// Counts the n-grams of a text.
    ///
    /// # Panics
    /// If the order is zero or above [`NgramShape::most_tokens`], or a token is not in the vocabulary.
    pub fn count(shape: &NgramShape, ids: &Ids) -> Self {
        assert!((1..=shape.most_tokens()).contains(&shape.order));
        let mut trie = NgramTrie {
            levels: vec![Level::default(); shape.order],
        };
        let bits = shape.bits();
        let unused = u128::BITS - bits * shape.order as u32;
        let mut previous = 0;
        for key in shape.sorted_keys(ids) {
            let shared = ((key ^ previous).leading_zeros() - unused) / bits;
            let length = shape.order as u32 - key.trailing_zeros() / bits;
            for level in shared.min(length)..length {
                let place = bits * (shape.order as u32 - 1 - level);
                let token = (key >> place) as u32 & ((1 << bits) - 1);
                trie.open(level as usize, token - 1);
            }
            for level in &mut trie.levels[..length as usize] {
                *level.counts.last_mut().expect("it was opened") += 1;
            }
            previous = key;
        }
        trie.close(shape.vocab_size);
        trie.count_preceding(shape, ids);
        trie
    }

    /// Whether every number is one that counting could have given, so that none leads out of a list.
    pub fn is_valid(&self, vocab_size: usize) -> bool {
        let known = |level: &Level| {
            level
                .tokens
                .iter()
                .all(|&token| (token as usize) < vocab_size)
        };
        let complete = self.levels[0].tokens.len() == vocab_size;
        let joined = self.levels.windows(2).all(|levels| {
            let [own, next] = levels else { return false };
            let children = &own.children;
            children.len() == own.tokens.len() + 1
                && children.is_sorted()
                && children.last().map(|&end| end as usize) == Some(next.tokens.len())
        });
        let counted = |level: &Level| level.counts.len() == level.tokens.len();
        complete
            && joined
            && self
                .levels
                .iter()
                .all(|level| known(level) && counted(level))
    }

    /// Begins an n-gram, the last of its level.
    fn open(&mut self, level: usize, token: u32) {
        if level == 0 {
            self.fill_vocabulary(token as usize);
        }
        let below = self.levels.get(level + 1).map(|next| next.tokens.len());
        let own = &mut self.levels[level];
        own.tokens.push(token);
        own.counts.push(0);
        own.children.extend(below.map(|below| below as u32));
    }

    /// Adds the tokens up to `end` to the first level, with a count of zero.
    fn fill_vocabulary(&mut self, end: usize) {
        let below = self.levels.get(1).map(|next| next.tokens.len() as u32);
        let first = &mut self.levels[0];
        for token in first.tokens.len()..end {
            first.tokens.push(token as u32);
            first.counts.push(0);
            first.children.extend(below);
        }
    }

    /// Ends all levels.
    fn close(&mut self, vocab_size: usize) {
        self.fill_vocabulary(vocab_size);
        for level in 1..self.levels.len() {
            let end = self.levels[level].tokens.len() as u32;
            self.levels[level - 1].children.push(end);
        }
    }

    /// Replaces the counts below the last level by the number of different tokens that precede an n-gram. What begins where
    /// nothing precedes keeps its count.
    fn count_preceding(&mut self, shape: &NgramShape, ids: &Ids) {
        // For each n-gram, the one without its first token.
        let mut shorter: Vec<u32> = Vec::new();
        for level in 1..self.levels.len() {
            let (lower, upper) = (&self.levels[level - 1], &self.levels[level]);
            let mut counts = vec![0; lower.tokens.len()];
            let mut next = Vec::with_capacity(upper.tokens.len());
            for parent in 0..lower.tokens.len() as u32 {
                let mut others = match level {
                    1 => 0..0,
                    _ => self.levels[level - 2].children(shorter[parent as usize]),
                };
                for child in lower.children(parent) {
                    let token = upper.tokens[child];
                    // Both lists are sorted, and the shorter n-gram has all tokens that the longer one has.
                    let found = match level {
                        1 => token as usize,
                        _ => others.start + seek(&lower.tokens[others.clone()], token),
                    };
                    others.start = found;
                    counts[found] += 1;
                    next.push(found as u32);
                }
            }
            self.keep_first_counts(level - 1, shape, ids, &mut counts);
            self.levels[level - 1].counts = counts;
            shorter = next;
        }
    }

    /// Keeps in `counts` those of the n-grams of a level that begin where nothing precedes: at a line's beginning, or at the
    /// text's.
    fn keep_first_counts(&self, level: usize, shape: &NgramShape, ids: &Ids, counts: &mut [u32]) {
        if level == 0 {
            return;
        }
        let mut range = shape.line_end as usize..shape.line_end as usize + 1;
        for upper in &self.levels[..level] {
            range = upper.children[range.start] as usize..upper.children[range.end] as usize;
        }
        if shape.by_line {
            counts[range.clone()].copy_from_slice(&self.levels[level].counts[range]);
        } else if ids.len() >= level {
            let mut node = Some(shape.line_end);
            for (upper, token) in (0..level).zip(ids.read(0..level)) {
                node = node.and_then(|node| self.child(upper, node, token));
            }
            counts[node.expect("the text begins so") as usize] += 1;
        }
    }

    /// The n-gram that continues `node` of a level by `token`, in the next level.
    pub fn child(&self, level: usize, node: u32, token: u32) -> Option<u32> {
        let range = self.levels[level].children(node);
        let tokens = &self.levels[level + 1].tokens[range.clone()];
        let found = tokens.binary_search(&token).ok()?;
        Some((range.start + found) as u32)
    }
}

impl Level {
    /// Where the n-grams that continue `node` lie in the next level.
    pub fn children(&self, node: u32) -> std::ops::Range<usize> {
        self.children[node as usize] as usize..self.children[node as usize + 1] as usize
    }
}

/// Index of `token` in sorted tokens that hold it, found in steps that double, as it is often near.
fn seek(tokens: &[u32], token: u32) -> usize {
    let mut step = 1;
    while step < tokens.len() && tokens[step - 1] < token {
        step *= 2;
    }
    let (from, to) = (step / 2, step.min(tokens.len()));
    from + tokens[from..to].partition_point(|&other| other < token)
}
