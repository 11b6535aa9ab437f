/*!
The probability of a text, as JSON.
*/

use serde_json::{Value, json};

use crate::inference::evaluation::{ScoredText, ScoredToken};

/// A scored text, with each of its tokens if that is asked for.
pub fn object(text: &str, scored: &ScoredText, tokens: bool) -> Value {
    let mut object = json!({
        "text": text,
        "tokens": scored.tokens.len(),
        "log_probability": scored.log_probability(),
        "perplexity": scored.score.perplexity,
        "bits_per_character": scored.score.bits_per_character,
        "unknown": scored.unknown().collect::<Vec<_>>(),
    });
    if tokens {
        let of_token = |token: &ScoredToken| {
            json!({
                "token": token.text,
                "log_probability": token.log_probability,
                "unknown": token.is_unknown,
            })
        };
        object["token_scores"] = scored.tokens.iter().map(of_token).collect();
    }
    object
}
