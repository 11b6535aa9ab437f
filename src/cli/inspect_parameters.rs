/*!
Parameters by layer, for `carousel inspect`.
*/

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::standard::line;
use crate::checkpoint::architecture::{EMBEDDING, TensorShapes};
use crate::checkpoint::encoder_decoder::{DECODER, ENCODER, TARGET_EMBEDDING};
use crate::checkpoint::transformer::POSITION_EMBEDDING;
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::Result;
use crate::text::Direction;

/// Prints a table of the parameters, by layer and tensor.
pub fn print(config: &ModelConfig) -> Result<()> {
    let total = config.parameters();
    let print = |name: &str, shape: &str, count: usize| {
        let share = 100.0 * count as f64 / total as f64;
        line(format!(
            "{name:<30}{shape:>18}{:>14}{share:>8.1} %",
            HumanCount(count as u64).to_string()
        ))
    };
    line(format!(
        "{:<30}{:>18}{:>14}{:>10}",
        "", "shape", "parameters", "share"
    ))?;
    for (part, tensors) in parts(config) {
        print(
            &part,
            "",
            tensors.iter().map(|(_, shape)| size(shape)).sum(),
        )?;
        for (name, shape) in tensors {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            print(&format!("  {name}"), &sizes.join(" x "), size(&shape))?;
        }
    }
    print("total", "", total)
}

/// What a model is and how it was trained, as one object.
pub fn object(directory: &Directory, config: &ModelConfig) -> Result<Value> {
    let total = config.parameters();
    let tensors = |(part, tensors): (String, TensorShapes)| {
        tensors
            .into_iter()
            .map(move |(name, shape)| {
                let count = size(&shape);
                let share = count as f64 / total as f64;
                json!({"name": name, "part": part, "shape": shape, "parameters": count, "share": share})
            })
            .collect::<Vec<_>>()
    };
    let tensors: Vec<Value> = parts(config).into_iter().flat_map(tensors).collect();
    let record = directory.load_record::<serde_json::Value>()?;
    Ok(json!({
        "model": directory.path().display().to_string(),
        "config": config.to_json(),
        "parameters": total,
        "tensors": tensors,
        "options": record["options"],
        "chosen": record["chosen"],
        "evaluations": record["evaluations"],
        "finished": record["finished"],
    }))
}

fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The tensors by the part of the network that they belong to.
fn parts(config: &ModelConfig) -> Vec<(String, TensorShapes)> {
    let mut parts: Vec<(String, TensorShapes)> = Vec::new();
    for (name, shape) in config.tensors() {
        let part = match (config.layer_of(&name), config.direction_of(&name)) {
            (Some(layer), Some(Direction::Reverse)) => format!("layer {layer}, backwards"),
            (Some(layer), _) => format!("layer {layer}"),
            _ if [EMBEDDING, TARGET_EMBEDDING, POSITION_EMBEDDING].contains(&&*name) => {
                "embedding".to_string()
            }
            _ if name.starts_with(ENCODER) => "encoder".to_string(),
            _ if name.starts_with(DECODER) => "decoder".to_string(),
            _ => "output".to_string(),
        };
        match parts.last_mut().filter(|(last, _)| *last == part) {
            Some((_, tensors)) => tensors.push((name, shape)),
            None => parts.push((part, vec![(name, shape)])),
        }
    }
    parts
}
