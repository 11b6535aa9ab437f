/*!
Models as ONNX files: of a language model a step, of a classifier its recurrent part over whole texts.
*/

use prost::Message;
use serde_json::{Value as Json, json};

use super::classifier_graph::classifier_graph;
use super::onnx_messages::{Entry, Graph, Model, OperatorSet};
use super::step_graph::step_graph;
use crate::checkpoint::architecture::{
    CALIBRATION_BIAS, CALIBRATION_SCALES, Interpolation, Labels, NextToken,
};
use crate::checkpoint::directory::TOKENIZER;
use crate::checkpoint::parts::{Body, Head};
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::{Error, Result};
use crate::text::tokenizer::Tokenizer;

/// Version of the format, and of the operators: those that have a layer normalisation.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;
/// Most numbers of float32 in a file of protocol buffers, which has less than 2 GiB, with room for everything else.
const MOST_PARAMETERS: usize = (i32::MAX as usize - (1 << 24)) / 4;

/// A head of the models that can be written.
pub enum Written<'a> {
    /// Of a language model.
    NextToken(&'a NextToken),
    /// Of a classifier.
    Labels(&'a Labels),
}

/// The bytes of an ONNX file of a model: of a language model [`step_graph`], of a classifier [`classifier_graph`], in float32.
///
/// What is beside the network is left out ([`leaves_out`]).
///
/// # Errors
/// A model that cannot be written so ([`check`]); weights that cannot be read, or are too large for a file.
pub fn file(config: &ModelConfig, weights: &WeightsFile, tokenizer: &Tokenizer) -> Result<Vec<u8>> {
    let head = check(config)?;
    if config.parameters() > MOST_PARAMETERS {
        return Err(Error::new(
            "the weights take more than 2 GiB in float32, which an ONNX file cannot hold",
        ));
    }
    let mut told = vec![
        ("tokenizer", TOKENIZER.to_string()),
        ("level", tokenizer.level().to_string()),
        ("first_token", tokenizer.line_end().to_string()),
    ];
    if let Some(body) = config.transformer() {
        told.push(("context", body.context.to_string()));
    }
    let (graph, what) = match head {
        Written::NextToken(head) => {
            let (graph, state) = step_graph(config, head, weights)?;
            told.push(("initial_state", Json::Object(state).to_string()));
            (
                graph,
                "One step of a language model: a token and the state before it, to logits and the state after it.",
            )
        }
        Written::Labels(head) => {
            told.push(("labels", json!(head.labels).to_string()));
            told.push(("calibration", calibration(weights)?.to_string()));
            (
                classifier_graph(config, head, weights)?,
                "The recurrent part of a classifier: texts to logits of their labels.",
            )
        }
    };
    Ok(model(graph, what, told).encode_to_vec())
}

/// What `classify` makes of the logits of both its parts.
fn calibration(weights: &WeightsFile) -> Result<Json> {
    let scales = weights.floats(CALIBRATION_SCALES)?;
    Ok(
        json!({"recurrent": scales[0], "linear": scales[1], "bias": weights.floats(CALIBRATION_BIAS)?}),
    )
}

/// A file with a graph, what it is, and what is told beside it.
fn model(graph: Graph, what: &str, told: Vec<(&str, String)>) -> Model {
    let entry = |(key, value): (&str, String)| Entry {
        key: key.to_string(),
        value,
    };
    Model {
        ir_version: IR_VERSION,
        producer_name: "carousel".to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        doc_string: what.to_string(),
        metadata_props: told.into_iter().map(entry).collect(),
        graph: Some(graph),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPERATORS,
        }],
    }
}

/// What a graph of a model leaves out of it, such as `n-grams of up to 5 tokens`.
pub fn leaves_out(config: &ModelConfig) -> Option<String> {
    match &config.head {
        Head::NextToken(head) => head.interpolation.as_ref().map(Interpolation::description),
        Head::Labels(_) => Some("the linear classifier and the calibration".to_string()),
        Head::Values(_) => None,
    }
}

/// Checks that a model can be written as a graph; returns its head.
///
/// # Errors
/// A model that is neither a language model of one network nor a classifier.
pub fn check(config: &ModelConfig) -> Result<Written<'_>> {
    let kind = match (&config.body, &config.head) {
        (Body::Recurrent(_) | Body::Transformer(_), Head::NextToken(head)) => {
            return Ok(Written::NextToken(head));
        }
        (Body::Recurrent(_), Head::Labels(head)) => return Ok(Written::Labels(head)),
        (Body::Ngram(_), _) => "an n-gram model, which is counts and no network",
        (_, Head::Values(_)) => "a forecaster, which scales numbers before and after its network",
        _ => "a translator",
    };
    Err(Error::new(format!(
        "this is {kind}; language models of recurrent layers and of transformers, and classifiers, can be written as ONNX"
    )))
}
