/*!
A continuous cache (Grave et al. 2017): of one text the last outputs of a network, each with the token that followed. The
tokens that followed outputs like the present one are likely again.
*/

use carousel_kernels::dot_products;

/// Number of tokens with which a large cache has half of its weight. Of 0 (all of it, however few they are), 30, 100 and 250, and
/// of weights in proportion to the tokens or their square root, this gave 320 film reviews the highest probability
/// (docs/recipes.md).
const HALF_TOKENS: f64 = 30.0;

/// The cache of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Most tokens that are kept.
    capacity: usize,
    /// The outputs before each token, `[tokens, hidden_size]`. Once there are as many as are kept, the next replaces the
    /// oldest.
    outputs: Vec<f32>,
    tokens: Vec<u32>,
    /// Where the next token goes.
    next: usize,
    /// The output after the last token; empty before the first.
    last: Vec<f32>,
    /// Whether it keeps nothing more for now.
    held: bool,
}

impl Cache {
    /// An empty cache that keeps the last `capacity` tokens.
    pub fn new(capacity: usize) -> Self {
        Cache {
            capacity,
            outputs: Vec::new(),
            tokens: Vec::new(),
            next: 0,
            last: Vec::new(),
            held: false,
        }
    }

    /// Keeps nothing more from now on, or begins to again: what a model writes itself is not kept, or it would soon repeat
    /// itself.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Reads a token, and the network's output after it.
    pub fn read(&mut self, token: u32, output: impl FnOnce(&mut Vec<f32>)) {
        if !self.last.is_empty() && self.capacity > 0 && !self.held {
            let width = self.last.len();
            if self.tokens.len() < self.capacity {
                self.outputs.extend_from_slice(&self.last);
                self.tokens.push(token);
            } else {
                self.outputs[self.next * width..][..width].copy_from_slice(&self.last);
                self.tokens[self.next] = token;
            }
            self.next = (self.next + 1) % self.capacity;
        }
        output(&mut self.last);
    }

    /// How much of the cache's weight is its own, from 0 while it keeps nothing to 1 when it is full. What it keeps of a few
    /// tokens says little: the rest of the weight is the network's.
    pub fn filled(&self) -> f64 {
        let part = |tokens: usize| tokens as f64 / (tokens as f64 + HALF_TOKENS);
        match self.tokens.len() {
            0 => 0.0,
            kept => part(kept) / part(self.capacity),
        }
    }

    /// The kept tokens with their shares in the prediction of the next token, which sum to one: exponentials of the products
    /// of the outputs before them with the last one, times `scale`.
    fn shares(&self, products: &[f32], scale: f32) -> impl Iterator<Item = (u32, f32)> {
        let highest = products.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let share = move |product: &f32| (scale * (product - highest)).exp();
        let sum: f32 = products.iter().map(share).sum();
        let shares = products.iter().map(move |product| share(product) / sum);
        self.tokens.iter().copied().zip(shares)
    }

    /// The products of the kept outputs with the last one.
    fn products(&self) -> Vec<f32> {
        let mut products = vec![0.0; self.tokens.len()];
        dot_products(&self.outputs, &self.last, &mut products);
        products
    }

    /// The share of `token` in the prediction of the next one at each of some scales, times how much the cache is
    /// [`filled`](Self::filled).
    pub fn shares_of(&self, token: u32, scales: &[f32]) -> Vec<f64> {
        if !self.tokens.contains(&token) {
            return vec![0.0; scales.len()];
        }
        let products = self.products();
        let share = |&scale: &f32| {
            let own = self
                .shares(&products, scale)
                .filter(|&(kept, _)| kept == token);
            self.filled() * own.map(|(_, share)| f64::from(share)).sum::<f64>()
        };
        scales.iter().map(share).collect()
    }

    /// Adds the shares of all tokens, times `weight` and how much the cache is [`filled`](Self::filled), to `sums`; returns
    /// the weight that was added.
    pub fn add_to(&self, sums: &mut [f32], scale: f32, weight: f32) -> f32 {
        let weight = weight * self.filled() as f32;
        for (token, share) in self.shares(&self.products(), scale) {
            sums[token as usize] += weight * share;
        }
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(output: [f32; 3]) -> impl FnOnce(&mut Vec<f32>) {
        move |last| *last = output.to_vec()
    }

    #[test]
    fn tokens_after_similar_outputs_are_likely() {
        let mut cache = Cache::new(3);
        cache.read(7, set([1.0, 0.0, 0.0]));
        assert_eq!(cache.filled(), 0.0, "nothing has followed yet");
        assert_eq!(cache.shares_of(7, &[1.0]), [0.0]);
        cache.read(1, set([0.0, 1.0, 0.0]));
        cache.read(2, set([0.5, 2.0, 0.0]));
        // Kept: [1, 0, 0] before 1, [0, 1, 0] before 2; their products with the last output are 0.5 and 2.
        // Two of three places are filled.
        let filled = 2.0 / 32.0 / (3.0 / 33.0);
        let expected = |scale: f64| filled / (1.0 + (scale * (2.0 - 0.5)).exp());
        let found = cache.shares_of(1, &[1.0, 0.3]);
        for (found, scale) in found.into_iter().zip([1.0, 0.3]) {
            assert!((found - expected(scale)).abs() < 1e-6, "{found}");
        }
        assert_eq!(cache.shares_of(9, &[1.0]), [0.0]);
        let mut sums = vec![0.25; 4];
        let added = cache.add_to(&mut sums, 1.0, 0.5);
        assert!((f64::from(added) - 0.5 * filled).abs() < 1e-6, "{added}");
        let own = |token: u32| cache.shares_of(token, &[1.0])[0] as f32;
        let with = [0.25, 0.25 + 0.5 * own(1), 0.25 + 0.5 * own(2), 0.25];
        assert!(
            sums.iter().zip(with).all(|(a, b)| (a - b).abs() < 1e-6),
            "{sums:?}"
        );
    }

    #[test]
    fn a_cache_that_is_held_keeps_nothing_more() {
        let mut cache = Cache::new(4);
        cache.read(1, set([1.0, 0.0, 0.0]));
        cache.read(2, set([0.0, 1.0, 0.0]));
        cache.hold(true);
        cache.read(3, set([0.0, 0.0, 1.0]));
        let own = |cache: &Cache, token| cache.shares_of(token, &[1.0])[0];
        assert_eq!((own(&cache, 2), own(&cache, 3)), (cache.filled(), 0.0));
        cache.hold(false);
        cache.read(4, set([0.0, 0.0, 1.0]));
        assert!(own(&cache, 4) > cache.filled() / 2.0 && own(&cache, 3) == 0.0);
    }

    #[test]
    fn the_oldest_tokens_are_forgotten() {
        let mut cache = Cache::new(2);
        for token in [1, 2, 3, 4] {
            cache.read(token, set([token as f32, 1.0, 0.0]));
        }
        // Kept are the pairs that end with 3 and 4.
        let own = |token: u32| cache.shares_of(token, &[0.1])[0];
        assert_eq!((own(1), own(2)), (0.0, 0.0));
        assert!((own(3) + own(4) - 1.0).abs() < 1e-6 && own(3) > 0.0);
        let mut none = Cache::new(0);
        none.read(1, set([1.0, 1.0, 0.0]));
        none.read(2, set([1.0, 1.0, 0.0]));
        assert_eq!((none.filled(), none.shares_of(2, &[1.0])), (0.0, vec![0.0]));
    }
}
