/*!
How probable a token was, beside the most probable ones in its place.
*/

use carousel_kernels::log_sum_exp;

use crate::text::tokenizer::Decoder;

/// The log probability of a token, and those of the most probable ones in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct LogProbabilities {
    own: f64,
    /// The most probable first.
    top: Vec<(u32, f64)>,
}

/// The same, with the tokens as text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenReport {
    /// What the token adds to the text before it; empty while a character is incomplete.
    pub text: String,
    /// Its log probability.
    pub log_probability: f64,
    /// The most probable tokens, the first one first, with their log probabilities.
    pub top: Vec<(String, f64)>,
}

impl LogProbabilities {
    /// Those of a token and of the `top` most probable ones under some logits: before what sampling does to these.
    pub fn of(logits: &[f32], token: u32, top: usize) -> Self {
        let all = log_sum_exp(logits);
        let log_probability = |id: u32| f64::from(logits[id as usize]) - all;
        let possible = |&id: &u32| logits[id as usize] > f32::NEG_INFINITY;
        let mut order: Vec<u32> = (0..logits.len() as u32).filter(possible).collect();
        let falling = |a: &u32, b: &u32| {
            let [one, other] = [a, b].map(|&id| logits[id as usize]);
            other.total_cmp(&one).then(a.cmp(b))
        };
        if top < order.len() {
            order.select_nth_unstable_by(top, falling);
            order.truncate(top);
        }
        order.sort_unstable_by(falling);
        LogProbabilities {
            own: log_probability(token),
            top: order
                .into_iter()
                .map(|id| (id, log_probability(id)))
                .collect(),
        }
    }

    /// As text, after what a decoder has decoded.
    pub fn report(&self, token: u32, decoder: &Decoder) -> TokenReport {
        let text = |id: u32| decoder.clone().push(id);
        TokenReport {
            text: text(token),
            log_probability: self.own,
            top: self.top.iter().map(|&(id, own)| (text(id), own)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_come_first() {
        let logits = [0.0, 2.0, 1.0, 2.0];
        let found = LogProbabilities::of(&logits, 2, 3);
        let ids: Vec<u32> = found.top.iter().map(|&(id, _)| id).collect();
        assert_eq!(ids, [1, 3, 2]);
        let sum: f64 = LogProbabilities::of(&logits, 0, 9)
            .top
            .iter()
            .map(|(_, own)| own.exp())
            .sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(found.own, found.top[2].1);
        assert!(LogProbabilities::of(&logits, 0, 0).top.is_empty());
    }
}
