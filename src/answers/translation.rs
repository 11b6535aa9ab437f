/*!
Translations, as JSON.
*/

use serde_json::{Value, json};

use crate::inference::translator::{Candidate, Look, Translation};

/// What is shown of a translation beside the best one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What each word looked at.
    pub attention: bool,
    /// All that the search found.
    pub best: bool,
}

/// The translation of a line, with the number of its row.
pub fn object(shown: Shown, row: u64, line: &str, translation: &Translation) -> Value {
    let object = |candidate: &Candidate| {
        let mut object = json!({
            "translation": candidate.text,
            "score": candidate.score(),
            "log_probability": candidate.log_probability,
        });
        if shown.attention {
            object["attention"] = candidate.looks.iter().map(look_object).collect();
        }
        object
    };
    let mut all = json!({ "row": row, "source": line });
    let best = object(&translation.candidates[0]);
    if let (Value::Object(all), Value::Object(best)) = (&mut all, best) {
        all.extend(best);
    }
    if shown.best {
        all["best"] = translation.candidates.iter().map(object).collect();
    }
    all
}

fn look_object(look: &Look) -> Value {
    json!({ "source": look.source, "target": look.target, "weights": look.weights })
}
