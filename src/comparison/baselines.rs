/*!
Baselines of a run, from its training.json.
*/

use serde_json::{Map, Value};

/// The baselines of a record as objects with a `name`. A record has them either as a list of such objects, or as one
/// object with a key for each.
pub fn baselines(record: &Value) -> Vec<Value> {
    match &record["baselines"] {
        Value::Array(list) => list.clone(),
        Value::Object(named) => named
            .iter()
            .filter_map(|(name, figures)| {
                let mut object = Map::new();
                object.insert("name".to_string(), name.as_str().into());
                object.extend(figures.as_object()?.clone());
                Some(Value::Object(object))
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_baselines_are_read() {
        let named = json!({"baselines": {"uniform": {"loss": 4.0}, "unigram": {"loss": 3.0}}});
        let list = json!({"baselines": [
            {"name": "uniform", "loss": 4.0},
            {"name": "unigram", "loss": 3.0},
        ]});
        assert_eq!(baselines(&named), baselines(&list));
        assert_eq!(
            baselines(&named)[1],
            json!({"name": "unigram", "loss": 3.0})
        );
        assert!(baselines(&json!({})).is_empty());
    }
}
