/*!
What words have to do with each other: vectors of words by the documents that they are met in, which is latent semantic
analysis (Deerwester et al. 1990).

A language model knows which words may stand in the same place, and there praise and blame are alike. Which documents words
are met in tells them apart: with a few labelled sentences it is known of thousands of words what they are a sign of.
*/

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::optimizer::adam::descend;
use crate::run::Base;
use carousel::checkpoint::architecture::LSA_WEIGHT;
use carousel::error::Result;
use carousel::inference::linear::{LinearClassifier, scale};
use carousel::metrics::softmax;
use carousel::text::Level;
use carousel::text::features::{MAX_NGRAM, ngram_hash, ngram_hashes, words};
use carousel::text::tokenizer::Tokenizer;

/// Width of a vector.
pub const DIMENSIONS: usize = 32;
/// Tokens of a text that are looked at, at most, and the parts of it that they are taken from.
const MOST_TOKENS: usize = 1 << 24;
const PARTS: usize = 64;
/// A document ends with the first line that ends after so many tokens; a line without an end is cut.
const DOCUMENT: Range<usize> = 64..1024;
/// DocumentTermMatrix that a word is met in, at least.
const LEAST_DOCUMENTS: usize = 10;
/// Rounds in which the vectors are found.
const ROUNDS: usize = 10;
/// What weights cost where labels are told by vectors, in nats of all documents together: half of their length's square.
const REIN: f64 = 1.0;

/// A vector, or what vectors come to.
type Vector = [f32; DIMENSIONS];

/// The number of the word that each token is, if it is one.
fn word_numbers(tokenizer: &Tokenizer) -> Vec<Option<u32>> {
    let word = |id: u32| {
        let piece = std::str::from_utf8(tokenizer.piece(id)).ok()?;
        let words = words(piece);
        (words.len() == 1 && tokenizer.unknown() != Some(id)).then(|| ngram_hash(&words))
    };
    (0..tokenizer.vocab_size() as u32).map(word).collect()
}

/// Of each token, whether it may go on with a word that the token before it begins, and whether the next may go on with its own:
/// pieces of words only.
fn loose_ends(tokenizer: &Tokenizer) -> Vec<[bool; 2]> {
    let pieces = tokenizer.level() == Level::Subword;
    let ends = |id: u32| {
        let Ok(piece) = std::str::from_utf8(tokenizer.piece(id)) else {
            // A part of a letter.
            return [pieces; 2];
        };
        let loose = |c: Option<char>| pieces && c.is_some_and(|c| c.is_alphanumeric() || c == '\'');
        [piece.chars().next(), piece.chars().last()].map(loose)
    };
    (0..tokenizer.vocab_size() as u32).map(ends).collect()
}

/// The tokens that are not pieces of a longer word.
fn whole_words(ids: impl Iterator<Item = u32>, tokenizer: &Tokenizer) -> impl Iterator<Item = u32> {
    let ends = loose_ends(tokenizer);
    let mut goes_on = false;
    let mut ids = ids.peekable();
    std::iter::from_fn(move || {
        loop {
            let id = ids.next()?;
            let [begins_loose, ends_loose] = ends[id as usize];
            let next = ids.peek().is_some_and(|&next| ends[next as usize][0]);
            let piece = (goes_on && begins_loose) || (ends_loose && next);
            goes_on = ends_loose;
            if !piece {
                return Some(id);
            }
        }
    })
}

/// Where the tokens of a text of this length lie that are looked at: all over it.
pub fn sampled_ranges(length: usize) -> impl Iterator<Item = Range<usize>> {
    let part = length.min(MOST_TOKENS).div_ceil(PARTS);
    (0..PARTS).map(move |index| {
        let start = length * index / PARTS;
        start..(start + part).min(length * (index + 1) / PARTS)
    })
}

/// Learns the vectors of a vocabulary's words from a text, `[vocab_size, DIMENSIONS]`: nothing for words that are rare, and
/// for tokens that are no words. Tokens that may be pieces of words count where they are whole ones.
pub fn learn(ids: impl Iterator<Item = u32>, tokenizer: &Tokenizer) -> Vec<f32> {
    let numbers = word_numbers(tokenizer);
    // Great and great are one word.
    let mut columns = FxHashMap::default();
    let column_of: Vec<Option<u32>> = numbers
        .iter()
        .map(|number| {
            let next = columns.len() as u32;
            number.map(|number| *columns.entry(number).or_insert(next))
        })
        .collect();
    let ids = whole_words(ids, tokenizer);
    let documents = DocumentTermMatrix::cut(ids, tokenizer.line_end(), &column_of, columns.len());
    let vectors = documents.vectors();
    let of_token = |column: &Option<u32>| match column {
        Some(column) => vectors[*column as usize],
        None => [0.0; DIMENSIONS],
    };
    column_of.iter().flat_map(of_token).collect()
}

/// How often words are met in documents: a sparse matrix.
struct DocumentTermMatrix {
    /// Where the entries of each document end.
    ends: Vec<usize>,
    /// Words and what they count.
    entries: Vec<(u32, f32)>,
    /// How many documents each word is met in.
    frequencies: Vec<usize>,
}

impl DocumentTermMatrix {
    fn cut(
        ids: impl Iterator<Item = u32>,
        line_end: u32,
        column_of: &[Option<u32>],
        columns: usize,
    ) -> Self {
        let mut documents = DocumentTermMatrix {
            ends: Vec::new(),
            entries: Vec::new(),
            frequencies: vec![0; columns],
        };
        let (mut met, mut length) = (Vec::new(), 0);
        for id in ids {
            met.extend(column_of[id as usize]);
            length += 1;
            if length >= DOCUMENT.end || (id == line_end && length >= DOCUMENT.start) {
                documents.push(&mut met);
                length = 0;
            }
        }
        documents.push(&mut met);
        documents
    }

    /// Adds a document by the words met in it, which are taken.
    fn push(&mut self, met: &mut Vec<u32>) {
        met.sort_unstable();
        for same in met.chunk_by(|a, b| a == b) {
            self.entries.push((same[0], 1.0 + (same.len() as f32).ln()));
            self.frequencies[same[0] as usize] += 1;
        }
        self.ends.push(self.entries.len());
        met.clear();
    }

    /// How much a word tells of documents that it is met in: the less, the more they are.
    fn weight(&self, word: u32) -> f32 {
        match self.frequencies[word as usize] {
            ..LEAST_DOCUMENTS => 0.0,
            met => ((1 + self.ends.len()) as f32 / (1 + met) as f32).ln() + 1.0,
        }
    }

    /// A vector for each word, as long as the word tells something: the first singular vectors, by orthogonal iteration (Golub
    /// and Van Loan 2013, 8.2.4), each times the root of its singular value.
    fn vectors(mut self) -> Vec<Vector> {
        let weights: Vec<f32> = (0..self.frequencies.len() as u32)
            .map(|word| self.weight(word))
            .collect();
        let mut start = 0;
        for &end in &self.ends {
            let entries = &mut self.entries[start..end];
            let counts = |(word, count): &(u32, f32)| count * weights[*word as usize];
            let length: f32 = entries.iter().map(|e| counts(e).powi(2)).sum();
            let length = length.sqrt().max(f32::MIN_POSITIVE);
            entries.iter_mut().for_each(|e| e.1 = counts(e) / length);
            start = end;
        }
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut basis: Vec<Vector> = (0..weights.len())
            .map(|_| std::array::from_fn(|_| random.random::<f32>() - 0.5))
            .collect();
        let mut lengths = [0.0; DIMENSIONS];
        for _ in 0..ROUNDS {
            let mut next = vec![[0.0; DIMENSIONS]; basis.len()];
            let mut start = 0;
            for &end in &self.ends {
                let entries = &self.entries[start..end];
                let mut seen = [0.0; DIMENSIONS];
                for &(word, count) in entries {
                    add(&mut seen, count, &basis[word as usize]);
                }
                for &(word, count) in entries {
                    add(&mut next[word as usize], count, &seen);
                }
                start = end;
            }
            lengths = orthogonalise(&mut next);
            basis = next;
        }
        for (vector, weight) in basis.iter_mut().zip(weights) {
            // Each round multiplies with the squares of the singular values.
            let roots = lengths.iter().map(|length| length.powf(0.25));
            vector
                .iter_mut()
                .zip(roots)
                .for_each(|(x, root)| *x *= root);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            let factor = if length > 0.0 { weight / length } else { 0.0 };
            vector.iter_mut().for_each(|x| *x *= factor);
        }
        basis
    }
}

fn add(to: &mut Vector, times: f32, vector: &Vector) {
    to.iter_mut()
        .zip(vector)
        .for_each(|(to, x)| *to += times * x);
}

/// Makes the columns orthogonal to each other and of length 1; those that are nothing but others become zero. Gives the
/// lengths that they had by themselves.
fn orthogonalise(rows: &mut [Vector]) -> Vector {
    let mut lengths = [0.0; DIMENSIONS];
    for column in 0..DIMENSIONS {
        let length = |rows: &[Vector]| {
            let squares = rows.iter().map(|row| f64::from(row[column]).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let before = length(rows);
        // What rounding leaves of the others the first time goes the second.
        for _ in 0..2 {
            let mut products = [0.0f64; DIMENSIONS];
            for row in &*rows {
                for (product, &earlier) in products[..column].iter_mut().zip(row) {
                    *product += f64::from(row[column] * earlier);
                }
            }
            for row in &mut *rows {
                let others = products[..column].iter().zip(&*row);
                let others: f64 = others.map(|(p, &x)| p * f64::from(x)).sum();
                row[column] -= others as f32;
            }
        }
        let after = length(rows);
        let factor = if after > 1e-4 * before {
            1.0 / after
        } else {
            0.0
        };
        rows.iter_mut().for_each(|row| row[column] *= factor as f32);
        lengths[column] = after as f32;
    }
    lengths
}

/// The vectors of words.
pub struct WordVectors {
    /// By the words' numbers.
    vectors: FxHashMap<u32, Vector>,
}

impl WordVectors {
    /// Those of a model, if it has some.
    ///
    /// # Errors
    /// A damaged file.
    pub fn load(base: &Base) -> Result<Option<Self>> {
        if base.config.lsa_size() != DIMENSIONS {
            return Ok(None);
        }
        let known = Self::of(&base.weights.floats(LSA_WEIGHT)?, &base.tokenizer);
        Ok((!known.vectors.is_empty()).then_some(known))
    }

    fn of(vectors: &[f32], tokenizer: &Tokenizer) -> Self {
        let (vectors, _) = vectors.as_chunks::<DIMENSIONS>();
        let known = word_numbers(tokenizer).into_iter().zip(vectors);
        let known = known.filter(|(_, vector)| vector.iter().any(|&x| x != 0.0));
        WordVectors {
            vectors: known
                .filter_map(|(number, vector)| Some((number?, *vector)))
                .collect(),
        }
    }

    /// Weights of words by which the labels of documents are told: those of a logistic regression on what their words'
    /// vectors come to. It has so few numbers that a few dozen documents are enough for it.
    pub fn tell(
        &self,
        documents: &[impl AsRef<[String]>],
        truth: &[usize],
        labels: usize,
    ) -> LinearClassifier {
        let sums = documents.iter().map(|words| self.sum(words.as_ref()));
        let seen: Vec<Vector> = sums.collect();
        let squares = seen.iter().flatten().map(|&x| f64::from(x * x));
        let size = (squares.sum::<f64>() / seen.len().max(1) as f64).sqrt();
        let size = if size > 0.0 { size } else { 1.0 };
        // For each label its bias, and a weight for each dimension.
        let width = 1 + DIMENSIONS;
        let mut weights = vec![0.0; labels * width];
        let count = seen.len().max(1) as f64;
        let gradients = |weights: &[f64]| {
            let rein = |(index, weight): (usize, &f64)| match index % width {
                0 => 0.0,
                _ => REIN * weight / count,
            };
            let mut gradients: Vec<f64> = weights.iter().enumerate().map(rein).collect();
            for (seen, &truth) in seen.iter().zip(truth) {
                let logits: Vec<f64> = weights
                    .chunks_exact(width)
                    .map(|row| row[0] + dot(&row[1..], seen) / size)
                    .collect();
                for (label, odds) in softmax(&logits).into_iter().enumerate() {
                    let off = (odds - f64::from(u8::from(label == truth))) / count;
                    let own = &mut gradients[label * width..(label + 1) * width];
                    own[0] += off;
                    for (own, &x) in own[1..].iter_mut().zip(seen) {
                        *own += off * f64::from(x) / size;
                    }
                }
            }
            gradients
        };
        descend(&mut weights, gradients, |_| ());
        let mut known: Vec<(u32, &Vector)> = self.vectors.iter().map(|(&n, v)| (n, v)).collect();
        known.sort_unstable_by_key(|(number, _)| *number);
        let rows = weights.chunks_exact(width);
        LinearClassifier {
            hashes: known.iter().map(|(number, _)| *number).collect(),
            weights: known
                .iter()
                .flat_map(|(_, vector)| {
                    rows.clone()
                        .map(|row| (dot(&row[1..], vector) / size) as f32)
                })
                .collect(),
            bias: rows.clone().map(|row| row[0] as f32).collect(),
        }
    }

    /// What the words of a document come to, scaled as [`LinearClassifier::logits`] scales them.
    fn sum(&self, words: &[String]) -> Vector {
        let found = ngram_hashes(words, MAX_NGRAM);
        let scale = scale(found.len()) as f32;
        let mut sum = [0.0; DIMENSIONS];
        for vector in found.iter().filter_map(|number| self.vectors.get(number)) {
            add(&mut sum, scale, vector);
        }
        sum
    }
}

fn dot(weights: &[f64], vector: &Vector) -> f64 {
    let products = weights.iter().zip(vector).map(|(w, &x)| w * f64::from(x));
    products.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::metrics::argmax;
    use carousel::text::Split;
    use carousel::text::vocabulary::{VocabularyConfig, VocabularyTrainer};

    const SIDES: [&str; 2] = ["blame", "praise"];

    /// Vectors learnt from documents of praise and of blame, each with some of the hundred words of its side.
    fn vectors() -> (Vec<f32>, Tokenizer) {
        let of_sides = (0..200).map(|word| format!("{}{}", SIDES[word % 2], word / 2));
        let others = ["the", "film", "Praise0", "rare", "\n"];
        let all = others.iter().map(|word| word.to_string()).chain(of_sides);
        let tokenizer = Tokenizer::words(Split::Whitespace, all.collect());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut text = "rare ".to_string();
        for document in 0..600 {
            for _ in 0..32 {
                text += ["the ", "film "][random.random_range(0..2)];
                text += &format!("{}{} ", SIDES[document % 2], random.random_range(0..100));
            }
            text += "\n";
        }
        let ids = tokenizer.encode_reference(&text);
        assert!(!ids.iter().any(|&id| Some(id) == tokenizer.unknown()));
        (learn(ids.into_iter(), &tokenizer), tokenizer)
    }

    #[test]
    fn words_of_the_same_documents_lie_together() {
        let (vectors, tokenizer) = vectors();
        let vector = |word: &str| {
            let id = tokenizer.encode_reference(word)[0] as usize;
            &vectors[id * DIMENSIONS..(id + 1) * DIMENSIONS]
        };
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let alike = |a: &str, b: &str| {
            let (a, b) = (vector(a), vector(b));
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mean = |one: &str, other: &str| {
            let pairs = (1..50).map(|i| alike(&format!("{one}{i}"), &format!("{other}{}", i + 50)));
            pairs.sum::<f32>() / 49.0
        };
        let (praise, blame) = (mean("praise", "praise"), mean("blame", "blame"));
        let apart = mean("praise", "blame");
        assert!(
            praise > apart + 0.1 && blame > apart + 0.1,
            "{praise} {blame} {apart}"
        );
        // One word, however it is set; none for what is rare, or no word.
        assert_eq!(vector("praise0"), vector("Praise0"));
        for none in ["rare", "\n"] {
            assert!(vector(none).iter().all(|&x| x == 0.0), "{none}");
        }
        // What is met everywhere tells less.
        assert!(dot(vector("the"), vector("the")) < dot(vector("blame3"), vector("blame3")));
    }

    #[test]
    fn pieces_of_longer_words_do_not_count() {
        let mut learner = VocabularyTrainer::new(
            VocabularyConfig {
                level: Level::Subword,
                split: Split::Natural,
                vocab_size: Some(290),
                min_count: 1,
            },
            1000,
        );
        let text = "the good goodness of it, good\n".repeat(30);
        learner.push(text.as_bytes());
        let tokenizer = learner.finish().unwrap();
        let written = |text: &str| -> Vec<String> {
            let whole = whole_words(tokenizer.encode_reference(text).into_iter(), &tokenizer);
            let piece = |id| String::from_utf8_lossy(tokenizer.piece(id)).into_owned();
            whole.map(piece).collect()
        };
        assert_eq!(
            written("the good goodly of, good\n"),
            ["the", " good", " of", ",", " good", "\n"]
        );
        // Words of other tokenizers stay as they are.
        let words = Tokenizer::words(Split::Whitespace, vec!["good".into(), "film".into()]);
        let ids = words.encode_reference("good film good");
        assert!(whole_words(ids.clone().into_iter(), &words).eq(ids));
    }

    #[test]
    fn a_few_labels_tell_words_that_none_of_them_holds() {
        let (vectors, tokenizer) = vectors();
        let semantics = WordVectors::of(&vectors, &tokenizer);
        // Ten words of each side; the others are told by them.
        let word = |label: usize, word: usize| words(&format!("the {}{word}", SIDES[label]));
        let labelled: Vec<_> = (0..20).map(|i| word(i % 2, i / 2)).collect();
        let truth: Vec<usize> = (0..20).map(|i| i % 2).collect();
        for labels in [2, 3] {
            let ngrams = semantics.tell(&labelled, &truth, labels);
            assert!(ngrams.hashes.is_sorted());
            let right = (20..200).filter(|i| {
                let told = argmax(&ngrams.logits(&word(i % 2, i / 2)));
                told == i % 2
            });
            let right = right.count();
            assert!(right > 150, "{right} of 180");
        }
    }

    #[test]
    fn long_texts_are_looked_at_all_over() {
        for length in [0, 1, 100, MOST_TOKENS, 10 * MOST_TOKENS + 7] {
            let parts: Vec<_> = sampled_ranges(length).collect();
            let all: usize = parts.iter().map(Range::len).sum();
            assert!(all <= length.min(MOST_TOKENS + PARTS), "{length} {all}");
            assert!(all + PARTS >= length.min(MOST_TOKENS), "{length} {all}");
            assert!(parts.windows(2).all(|two| two[0].end <= two[1].start));
            assert!(parts[PARTS - 1].end <= length);
            // Nothing is left out of what is short.
            assert!(length > MOST_TOKENS || all == length, "{length} {all}");
        }
    }

    #[test]
    fn columns_are_made_orthogonal_and_none_out_of_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        // Ten rows cannot have more than ten of them.
        let mut rows: Vec<Vector> = (0..10)
            .map(|_| std::array::from_fn(|_| random.random::<f32>()))
            .collect();
        orthogonalise(&mut rows);
        let product = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f32>();
        for a in 0..DIMENSIONS {
            for b in 0..DIMENSIONS {
                let wanted = if a == b && a < 10 { 1.0 } else { 0.0 };
                assert!((product(a, b) - wanted).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}
