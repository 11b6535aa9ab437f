/*!
Word vectors by latent semantic analysis (Deerwester et al. 1990): a truncated singular value decomposition of the
document-term matrix with tf-idf weights.

A language model alone represents words by the contexts they fit into, in which antonyms such as "good" and "bad" are alike.
The documents in which words occur distinguish them, so that a classifier with few training documents can generalise to words
that are in none of them, by a logistic regression on the vectors.
*/

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use crate::optimizer::adam::minimise;
use crate::run::Base;
use carousel::checkpoint::architecture::LSA_WEIGHT;
use carousel::error::Result;
use carousel::inference::linear::{LinearClassifier, scale};
use carousel::metrics::softmax;
use carousel::text::Level;
use carousel::text::features::{groups, ngram_hash, words};
use carousel::text::preprocessing::Preprocessing;
use carousel::text::tokenizer::Tokenizer;

/// Width of a word vector.
pub const DIMENSIONS: usize = 32;
/// Largest number of tokens of a text that are read.
const MAX_TOKENS: usize = 1 << 24;
/// Number of ranges of a text that they are read from.
const SAMPLED_RANGES: usize = 64;
/// Bounds of a document's number of tokens: it ends with the first line after the lower one, or at the upper one.
const DOCUMENT_TOKENS: Range<usize> = 64..1024;
/// Smallest number of documents that a word with a vector occurs in.
const MIN_DOCUMENT_FREQUENCY: usize = 10;
/// Iterations of the singular value decomposition.
const ITERATIONS: usize = 10;
/// L2 penalty of the logistic regression, in nats of all documents together.
const L2_PENALTY: f64 = 1.0;

/// A word vector, or a sum of such.
type WordVector = [f32; DIMENSIONS];

/// Hash of the word that each token is; `None` for tokens that are not one word.
fn word_hashes(tokenizer: &Tokenizer) -> Vec<Option<u32>> {
    let hash = |id: u32| {
        let piece = std::str::from_utf8(tokenizer.piece(id)).ok()?;
        let words = words(piece);
        (words.len() == 1 && tokenizer.unknown() != Some(id)).then(|| ngram_hash(&words))
    };
    (0..tokenizer.vocab_size() as u32).map(hash).collect()
}

/// For each token, whether it may continue the word of the token before it, and whether the next token may continue its word.
/// Only subwords can.
fn continuations(tokenizer: &Tokenizer) -> Vec<[bool; 2]> {
    let subwords = tokenizer.level() == Level::Subword;
    let ends = |id: u32| {
        let Ok(piece) = std::str::from_utf8(tokenizer.piece(id)) else {
            // Some of the bytes of a character.
            return [subwords; 2];
        };
        let in_word =
            |c: Option<char>| subwords && c.is_some_and(|c| c.is_alphanumeric() || c == '\'');
        [piece.chars().next(), piece.chars().last()].map(in_word)
    };
    (0..tokenizer.vocab_size() as u32).map(ends).collect()
}

/// The tokens that are not parts of a longer word.
fn whole_words(ids: impl Iterator<Item = u32>, tokenizer: &Tokenizer) -> impl Iterator<Item = u32> {
    let continuations = continuations(tokenizer);
    let mut word_is_open = false;
    let mut ids = ids.peekable();
    std::iter::from_fn(move || {
        loop {
            let id = ids.next()?;
            let [begins_inside, ends_inside] = continuations[id as usize];
            let next_begins_inside = ids
                .peek()
                .is_some_and(|&next| continuations[next as usize][0]);
            let is_part = (word_is_open && begins_inside) || (ends_inside && next_begins_inside);
            word_is_open = ends_inside;
            if !is_part {
                return Some(id);
            }
        }
    })
}

/// Ranges of a text of `length` tokens that are read, evenly distributed over it.
pub fn sampled_ranges(length: usize) -> impl Iterator<Item = Range<usize>> {
    let tokens = length.min(MAX_TOKENS).div_ceil(SAMPLED_RANGES);
    (0..SAMPLED_RANGES).map(move |index| {
        let start = length * index / SAMPLED_RANGES;
        start..(start + tokens).min(length * (index + 1) / SAMPLED_RANGES)
    })
}

/// Computes the word vectors of a vocabulary from a text, `[vocab_size, DIMENSIONS]`. Tokens that are rare or not a word have a
/// vector of zeros. Subwords count where they are whole words.
pub fn fit(ids: impl Iterator<Item = u32>, tokenizer: &Tokenizer) -> Vec<f32> {
    // Tokens of the same word, as "Great" and "great", share a column.
    let mut columns = FxHashMap::default();
    let column_of: Vec<Option<u32>> = word_hashes(tokenizer)
        .iter()
        .map(|hash| {
            let next = columns.len() as u32;
            hash.map(|hash| *columns.entry(hash).or_insert(next))
        })
        .collect();
    let ids = whole_words(ids, tokenizer);
    let line_end = tokenizer.line_end();
    let vectors = DocumentTermMatrix::new(ids, line_end, &column_of, columns.len()).word_vectors();
    let vector = |column: &Option<u32>| match column {
        Some(column) => vectors[*column as usize],
        None => [0.0; DIMENSIONS],
    };
    column_of.iter().flat_map(vector).collect()
}

/// A sparse matrix with a row for each document and a column for each word.
struct DocumentTermMatrix {
    /// End of each document's entries.
    ends: Vec<usize>,
    /// Columns and values.
    entries: Vec<(u32, f32)>,
    /// Number of documents that each word occurs in.
    document_frequencies: Vec<usize>,
}

impl DocumentTermMatrix {
    /// Divides a text into documents and counts their words; `column_of` each token is its word's column.
    fn new(
        ids: impl Iterator<Item = u32>,
        line_end: u32,
        column_of: &[Option<u32>],
        columns: usize,
    ) -> Self {
        let mut matrix = DocumentTermMatrix {
            ends: Vec::new(),
            entries: Vec::new(),
            document_frequencies: vec![0; columns],
        };
        let (mut document, mut length) = (Vec::new(), 0);
        for id in ids {
            document.extend(column_of[id as usize]);
            length += 1;
            let at_line_end = id == line_end && length >= DOCUMENT_TOKENS.start;
            if length >= DOCUMENT_TOKENS.end || at_line_end {
                matrix.push(&mut document);
                length = 0;
            }
        }
        matrix.push(&mut document);
        matrix
    }

    /// Adds a row with the logarithmic term frequencies of a document, given by its words' columns, and clears these.
    fn push(&mut self, document: &mut Vec<u32>) {
        document.sort_unstable();
        for equal in document.chunk_by(|a, b| a == b) {
            self.entries
                .push((equal[0], 1.0 + (equal.len() as f32).ln()));
            self.document_frequencies[equal[0] as usize] += 1;
        }
        self.ends.push(self.entries.len());
        document.clear();
    }

    /// Ranges of the documents' entries.
    fn rows(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// Word vectors, `[columns]`: the rows of the first right singular vectors times the square roots of the singular values,
    /// but as long as the word's inverse document frequency.
    fn word_vectors(mut self) -> Vec<WordVector> {
        let idf: Vec<f32> = self
            .document_frequencies
            .iter()
            .map(|&frequency| inverse_document_frequency(frequency, self.ends.len()))
            .collect();
        self.weight_rows(&idf);
        let (mut vectors, squared_singular_values) = self.singular_vectors();
        for (vector, idf) in vectors.iter_mut().zip(idf) {
            let roots = squared_singular_values.iter().map(|value| value.powf(0.25));
            vector
                .iter_mut()
                .zip(roots)
                .for_each(|(x, root)| *x *= root);
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            let factor = if norm > 0.0 { idf / norm } else { 0.0 };
            vector.iter_mut().for_each(|x| *x *= factor);
        }
        vectors
    }

    /// Multiplies the term frequencies by the inverse document frequencies, and normalises each row to length 1.
    fn weight_rows(&mut self, idf: &[f32]) {
        let mut start = 0;
        for &end in &self.ends {
            let row = &mut self.entries[start..end];
            let weighted = |(column, value): &(u32, f32)| value * idf[*column as usize];
            let squares: f32 = row.iter().map(|entry| weighted(entry).powi(2)).sum();
            let norm = squares.sqrt().max(f32::MIN_POSITIVE);
            row.iter_mut()
                .for_each(|entry| entry.1 = weighted(entry) / norm);
            start = end;
        }
    }

    /// The first right singular vectors, `[columns, DIMENSIONS]`, and the squares of the singular values: orthogonal iteration
    /// (Golub and Van Loan 2013, 8.2.4).
    fn singular_vectors(&self) -> (Vec<WordVector>, WordVector) {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut basis: Vec<WordVector> = (0..self.document_frequencies.len())
            .map(|_| std::array::from_fn(|_| random.random::<f32>() - 0.5))
            .collect();
        let mut norms = [0.0; DIMENSIONS];
        for _ in 0..ITERATIONS {
            basis = self.gram_product(&basis);
            norms = orthonormalise(&mut basis);
        }
        (basis, norms)
    }

    /// Product of the transposed matrix, the matrix and `basis`.
    fn gram_product(&self, basis: &[WordVector]) -> Vec<WordVector> {
        let mut product = vec![[0.0; DIMENSIONS]; basis.len()];
        for row in self.rows() {
            let row = &self.entries[row];
            let mut document = [0.0; DIMENSIONS];
            for &(column, value) in row {
                add_scaled(&mut document, value, &basis[column as usize]);
            }
            for &(column, value) in row {
                add_scaled(&mut product[column as usize], value, &document);
            }
        }
        product
    }
}

/// Inverse document frequency with smoothing; 0 for a word that is too rare for a vector.
fn inverse_document_frequency(document_frequency: usize, documents: usize) -> f32 {
    match document_frequency {
        ..MIN_DOCUMENT_FREQUENCY => 0.0,
        frequency => ((1 + documents) as f32 / (1 + frequency) as f32).ln() + 1.0,
    }
}

/// Adds `factor` times `vector` to `sum`.
fn add_scaled(sum: &mut WordVector, factor: f32, vector: &WordVector) {
    sum.iter_mut()
        .zip(vector)
        .for_each(|(sum, x)| *sum += factor * x);
}

/// Makes the columns of `rows` orthonormal by the Gram-Schmidt process; columns that depend on those before them become zero.
/// Returns the norms of the orthogonal columns.
fn orthonormalise(rows: &mut [WordVector]) -> WordVector {
    let mut norms = [0.0; DIMENSIONS];
    for column in 0..DIMENSIONS {
        let norm = |rows: &[WordVector]| {
            let squares = rows.iter().map(|row| f64::from(row[column]).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let before = norm(rows);
        // The second pass removes what rounding errors left.
        for _ in 0..2 {
            subtract_projections(rows, column);
        }
        let after = norm(rows);
        let factor = if after > 1e-4 * before {
            1.0 / after
        } else {
            0.0
        };
        rows.iter_mut().for_each(|row| row[column] *= factor as f32);
        norms[column] = after as f32;
    }
    norms
}

/// Subtracts from a column its projections on the columns before it, which are orthonormal.
fn subtract_projections(rows: &mut [WordVector], column: usize) {
    let mut products = [0.0f64; DIMENSIONS];
    for row in &*rows {
        for (product, &earlier) in products[..column].iter_mut().zip(row) {
            *product += f64::from(row[column] * earlier);
        }
    }
    for row in rows {
        let projections = products[..column].iter().zip(&*row);
        let sum: f64 = projections
            .map(|(product, &x)| product * f64::from(x))
            .sum();
        row[column] -= sum as f32;
    }
}

/// Word vectors of a trained language model.
pub struct WordVectors {
    /// By the words' hashes.
    vectors: FxHashMap<u32, WordVector>,
}

impl WordVectors {
    /// Loads the word vectors of a model, if it has any.
    ///
    /// # Errors
    /// A damaged file.
    pub fn load(base: &Base) -> Result<Option<Self>> {
        if base.config.lsa_size() != DIMENSIONS {
            return Ok(None);
        }
        let loaded = Self::new(&base.weights.floats(LSA_WEIGHT)?, &base.tokenizer);
        Ok((!loaded.vectors.is_empty()).then_some(loaded))
    }

    /// Word vectors from those of a vocabulary, `[vocab_size, DIMENSIONS]`.
    fn new(vectors: &[f32], tokenizer: &Tokenizer) -> Self {
        let (vectors, _) = vectors.as_chunks::<DIMENSIONS>();
        let all = word_hashes(tokenizer).into_iter().zip(vectors);
        let nonzero = all.filter(|(_, vector)| vector.iter().any(|&x| x != 0.0));
        WordVectors {
            vectors: nonzero
                .filter_map(|(hash, vector)| Some((hash?, *vector)))
                .collect(),
        }
    }

    /// Fits a logistic regression on the sums of the documents' word vectors. As it is linear, it is returned as the weights of
    /// words. It has few parameters, so that a few dozen documents are enough.
    pub fn fit_classifier(
        &self,
        documents: &[impl AsRef<[String]>],
        labels: &[usize],
        label_count: usize,
        preprocessing: Preprocessing,
    ) -> LinearClassifier {
        let inputs: Vec<WordVector> = documents
            .iter()
            .map(|words| self.sum(words.as_ref(), preprocessing))
            .collect();
        let regression = LogisticRegression {
            scale: root_mean_square(&inputs),
            inputs: &inputs,
            labels,
        };
        let weights = regression.fit(label_count);
        let mut words: Vec<(u32, &WordVector)> =
            self.vectors.iter().map(|(&hash, v)| (hash, v)).collect();
        words.sort_unstable_by_key(|(hash, _)| *hash);
        let rows = weights.chunks_exact(REGRESSION_WIDTH);
        LinearClassifier {
            hashes: words.iter().map(|(hash, _)| *hash).collect(),
            weights: words
                .iter()
                .flat_map(|(_, vector)| {
                    rows.clone()
                        .map(|row| (dot(&row[1..], vector) / regression.scale) as f32)
                })
                .collect(),
            bias: rows.clone().map(|row| row[0] as f32).collect(),
            preprocessing,
        }
    }

    /// Sum of the vectors of a document's words, scaled as in [`LinearClassifier::logits`].
    fn sum(&self, words: &[String], preprocessing: Preprocessing) -> WordVector {
        let hashes = groups(words, preprocessing).swap_remove(0);
        let scale = scale(hashes.len()) as f32;
        let mut sum = [0.0; DIMENSIONS];
        for vector in hashes.iter().filter_map(|hash| self.vectors.get(hash)) {
            add_scaled(&mut sum, scale, vector);
        }
        sum
    }
}

/// Parameters of each label of a [`LogisticRegression`]: its bias, and a weight for each dimension.
const REGRESSION_WIDTH: usize = 1 + DIMENSIONS;

/// A multinomial logistic regression with an L2 penalty.
struct LogisticRegression<'a> {
    inputs: &'a [WordVector],
    labels: &'a [usize],
    /// Divisor of the inputs.
    scale: f64,
}

impl LogisticRegression<'_> {
    /// The best parameters, `[label_count, REGRESSION_WIDTH]`.
    fn fit(&self, label_count: usize) -> Vec<f64> {
        let mut parameters = vec![0.0; label_count * REGRESSION_WIDTH];
        minimise(&mut parameters, |p| self.gradients(p), |_| ());
        parameters
    }

    /// Gradients of the mean loss with the penalty.
    fn gradients(&self, parameters: &[f64]) -> Vec<f64> {
        let count = self.inputs.len().max(1) as f64;
        let penalty = |(index, parameter): (usize, &f64)| match index % REGRESSION_WIDTH {
            0 => 0.0,
            _ => L2_PENALTY * parameter / count,
        };
        let mut gradients: Vec<f64> = parameters.iter().enumerate().map(penalty).collect();
        for (input, &truth) in self.inputs.iter().zip(self.labels) {
            let logits: Vec<f64> = parameters
                .chunks_exact(REGRESSION_WIDTH)
                .map(|row| row[0] + dot(&row[1..], input) / self.scale)
                .collect();
            let rows = gradients.chunks_exact_mut(REGRESSION_WIDTH);
            for (label, (probability, row)) in softmax(&logits).into_iter().zip(rows).enumerate() {
                let error = (probability - f64::from(u8::from(label == truth))) / count;
                row[0] += error;
                for (gradient, &x) in row[1..].iter_mut().zip(input) {
                    *gradient += error * f64::from(x) / self.scale;
                }
            }
        }
        gradients
    }
}

/// Root of the mean squared norm of vectors; 1 if all are zero.
fn root_mean_square(vectors: &[WordVector]) -> f64 {
    let squares = vectors.iter().flatten().map(|&x| f64::from(x * x));
    let root = (squares.sum::<f64>() / vectors.len().max(1) as f64).sqrt();
    if root > 0.0 { root } else { 1.0 }
}

fn dot(weights: &[f64], vector: &WordVector) -> f64 {
    let products = weights.iter().zip(vector).map(|(w, &x)| w * f64::from(x));
    products.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::metrics::argmax;
    use carousel::text::vocabulary::{VocabularyConfig, VocabularyTrainer};
    use carousel::text::{Normalization, Split};

    const TOPICS: [&str; 2] = ["blame", "praise"];

    /// Vectors of a text whose documents each have one of two topics, with a hundred words of its own for each topic.
    fn vectors() -> (Vec<f32>, Tokenizer) {
        let of_topics = (0..200).map(|word| format!("{}{}", TOPICS[word % 2], word / 2));
        let others = ["the", "film", "Praise0", "rare", "\n"];
        let all = others.iter().map(|word| word.to_string()).chain(of_topics);
        let tokenizer = Tokenizer::words(Split::Whitespace, all.collect());
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut text = "rare ".to_string();
        for document in 0..600 {
            let topic = TOPICS[document % 2];
            for _ in 0..32 {
                text += ["the ", "film "][random.random_range(0..2)];
                text += &format!("{topic}{} ", random.random_range(0..100));
            }
            text += "\n";
        }
        let ids = tokenizer.encode_reference(&text);
        assert!(!ids.iter().any(|&id| Some(id) == tokenizer.unknown()));
        (fit(ids.into_iter(), &tokenizer), tokenizer)
    }

    #[test]
    fn words_of_one_topic_have_similar_vectors() {
        let (vectors, tokenizer) = vectors();
        let vector = |word: &str| {
            let id = tokenizer.encode_reference(word)[0] as usize;
            &vectors[id * DIMENSIONS..(id + 1) * DIMENSIONS]
        };
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = |a: &str, b: &str| {
            let (a, b) = (vector(a), vector(b));
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let mean_cosine = |one: &str, other: &str| {
            let pairs =
                (1..50).map(|i| cosine(&format!("{one}{i}"), &format!("{other}{}", i + 50)));
            pairs.sum::<f32>() / 49.0
        };
        let praise = mean_cosine("praise", "praise");
        let blame = mean_cosine("blame", "blame");
        let across = mean_cosine("praise", "blame");
        assert!(
            praise > across + 0.1 && blame > across + 0.1,
            "{praise} {blame} {across}"
        );
        assert_eq!(vector("praise0"), vector("Praise0"));
        for none in ["rare", "\n"] {
            assert!(vector(none).iter().all(|&x| x == 0.0), "{none}");
        }
        // A word of all documents has a shorter vector.
        assert!(dot(vector("the"), vector("the")) < dot(vector("blame3"), vector("blame3")));
    }

    #[test]
    fn parts_of_longer_words_are_skipped() {
        let mut trainer = VocabularyTrainer::new(
            VocabularyConfig {
                level: Level::Subword,
                split: Split::Natural,
                vocab_size: Some(290),
                min_count: 1,
                normalization: Normalization::Nfc,
            },
            1000,
        );
        let text = "the good goodness of it, good\n".repeat(30);
        trainer.push(text.as_bytes());
        let tokenizer = trainer.finish().unwrap();
        let pieces = |text: &str| -> Vec<String> {
            let whole = whole_words(tokenizer.encode_reference(text).into_iter(), &tokenizer);
            let piece = |id| String::from_utf8_lossy(tokenizer.piece(id)).into_owned();
            whole.map(piece).collect()
        };
        assert_eq!(
            pieces("the good goodly of, good\n"),
            ["the", " good", " of", ",", " good", "\n"]
        );
        // Tokens of a vocabulary of words are always whole words.
        let words = Tokenizer::words(Split::Whitespace, vec!["good".into(), "film".into()]);
        let ids = words.encode_reference("good film good");
        assert!(whole_words(ids.clone().into_iter(), &words).eq(ids));
    }

    #[test]
    fn a_regression_on_few_documents_generalises_to_other_words() {
        let (vectors, tokenizer) = vectors();
        let vectors = WordVectors::new(&vectors, &tokenizer);
        // Ten words of each topic are in the documents; the other ninety are not.
        let document = |i: usize| words(&format!("the {}{}", TOPICS[i % 2], i / 2));
        let documents: Vec<_> = (0..20).map(document).collect();
        let labels: Vec<usize> = (0..20).map(|i| i % 2).collect();
        for label_count in [2, 3] {
            let linear =
                vectors.fit_classifier(&documents, &labels, label_count, Preprocessing::None);
            assert!(linear.hashes.is_sorted());
            let correct = (20..200).filter(|&i| argmax(&linear.logits(&document(i))) == i % 2);
            let correct = correct.count();
            assert!(correct > 150, "{correct} of 180");
        }
    }

    #[test]
    fn sampled_ranges_are_disjoint_and_cover_short_texts() {
        for length in [0, 1, 100, MAX_TOKENS, 10 * MAX_TOKENS + 7] {
            let ranges: Vec<_> = sampled_ranges(length).collect();
            let all: usize = ranges.iter().map(Range::len).sum();
            let expected = length.min(MAX_TOKENS);
            assert!(
                all <= length.min(MAX_TOKENS + SAMPLED_RANGES),
                "{length} {all}"
            );
            assert!(all + SAMPLED_RANGES >= expected, "{length} {all}");
            assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start));
            assert!(ranges[SAMPLED_RANGES - 1].end <= length);
            assert!(length > MAX_TOKENS || all == length, "{length} {all}");
        }
    }

    #[test]
    fn columns_become_orthonormal_or_zero() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        // Ten rows have at most ten independent columns.
        let mut rows: Vec<WordVector> = (0..10)
            .map(|_| std::array::from_fn(|_| random.random::<f32>()))
            .collect();
        orthonormalise(&mut rows);
        let product = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f32>();
        for a in 0..DIMENSIONS {
            for b in 0..DIMENSIONS {
                let expected = if a == b && a < 10 { 1.0 } else { 0.0 };
                assert!((product(a, b) - expected).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}
