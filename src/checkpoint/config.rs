/*!
config.json: everything that decides the names and shapes of a network's tensors.
*/

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::architecture::{
    EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, LSA_WEIGHT, NextToken, Ngrams, OUTPUT_BIAS, OUTPUT_WEIGHT,
    Recurrent, TensorShapes, Tokens, stack_name,
};
use super::encoder_decoder::{EncoderDecoder, TARGET_EMBEDDING, Target};
use super::numbers::{Numbers, Values};
use super::parts::{Body, Head, Input};
use super::transformer::{POSITION_EMBEDDING, Transformer};
use super::transformer_encoder_decoder::TransformerEncoderDecoder;
use super::version1::Version1;
use crate::error::{Error, Result};
use crate::text::Direction;
use crate::text::preprocessing::Preprocessing;
use carousel_kernels::recurrent::TABLE_TOKENS;

/// The format version that this program writes. It reads version 1 too.
const FORMAT_VERSION: u32 = 2;

/// The highest order of n-grams.
pub const MOST_NGRAM_TOKENS: usize = 10;
/// Largest size that is accepted.
pub const LARGEST_SIZE: usize = 1 << 24;
/// Most layers that are accepted: their tensors are listed before any is found in a file.
pub const MOST_LAYERS: usize = 1 << 12;

/// What a network is: input, body and head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// What it reads.
    pub input: Input,
    /// What turns that into outputs for each position.
    pub body: Body,
    /// What predicts from the outputs.
    pub head: Head,
}

impl ModelConfig {
    /// The tokens that it reads.
    ///
    /// # Panics
    /// If it reads numbers.
    pub fn tokens(&self) -> &Tokens {
        match &self.input {
            Input::Tokens(tokens) => tokens,
            Input::Numbers(_) => panic!("a network that reads tokens"),
        }
    }

    /// The tokens that it writes: those that it reads, but for a translator.
    ///
    /// # Panics
    /// If it reads numbers.
    pub fn written(&self) -> &Tokens {
        self.target()
            .map_or_else(|| self.tokens(), |target| target.tokens)
    }

    /// The tokens, to be changed.
    ///
    /// # Panics
    /// If it reads numbers.
    pub fn tokens_mut(&mut self) -> &mut Tokens {
        match &mut self.input {
            Input::Tokens(tokens) => tokens,
            Input::Numbers(_) => panic!("a network that reads tokens"),
        }
    }

    /// The numbers that a forecaster reads, and what it predicts; `None` for a model of text.
    pub fn forecaster(&self) -> Option<(&Numbers, &Values)> {
        match (&self.input, &self.head) {
            (Input::Numbers(numbers), Head::Values(values)) => Some((numbers, values)),
            _ => None,
        }
    }

    /// Width of what the first layer reads.
    pub fn input_size(&self) -> usize {
        match (&self.input, &self.head) {
            (Input::Tokens(tokens), _) => tokens.embedding_size,
            (Input::Numbers(numbers), Head::Values(values)) => numbers.input_size(values.horizon),
            (Input::Numbers(numbers), _) => numbers.input_size(1),
        }
    }

    /// Its recurrent layers.
    ///
    /// # Panics
    /// If it is another kind of model ([`ModelConfig::carried`]).
    pub fn recurrent(&self) -> &Recurrent {
        self.carried().expect("one stack of recurrent layers")
    }

    /// The recurrent layers whose state goes on from one window of training to the next; `None` where no state does.
    pub fn carried(&self) -> Option<&Recurrent> {
        match &self.body {
            Body::Recurrent(recurrent) => Some(recurrent),
            _ => None,
        }
    }

    /// The recurrent layers, to be changed.
    ///
    /// # Panics
    /// As [`ModelConfig::recurrent`].
    pub fn recurrent_mut(&mut self) -> &mut Recurrent {
        match &mut self.body {
            Body::Recurrent(recurrent) => recurrent,
            _ => panic!("one stack of recurrent layers"),
        }
    }

    /// The layers of a transformer; `None` for other models.
    pub fn transformer(&self) -> Option<&Transformer> {
        match &self.body {
            Body::Transformer(transformer) => Some(transformer),
            _ => None,
        }
    }

    /// Width of the outputs that the head reads.
    ///
    /// # Panics
    /// If it is an n-gram model.
    pub fn hidden_size(&self) -> usize {
        match &self.body {
            Body::Recurrent(recurrent) => recurrent.hidden_size,
            Body::Transformer(transformer) => transformer.hidden_size,
            Body::EncoderDecoder(body) => body.target.embedding_size,
            Body::TransformerEncoderDecoder(body) => body.hidden_size,
            Body::Ngram(_) => panic!("a network"),
        }
    }

    /// Number of stacked layers: of a translator, those of its decoder.
    ///
    /// # Panics
    /// If it is an n-gram model.
    pub fn num_layers(&self) -> usize {
        match &self.body {
            Body::Recurrent(recurrent) => recurrent.num_layers,
            Body::Transformer(transformer) => transformer.num_layers,
            Body::EncoderDecoder(body) => body.decoder.num_layers,
            Body::TransformerEncoderDecoder(body) => body.num_layers,
            Body::Ngram(_) => panic!("a network"),
        }
    }

    /// Fraction of the layers' outputs that is dropped in training: of a translator, of its decoder's.
    ///
    /// # Panics
    /// If it is an n-gram model.
    pub fn dropout(&self) -> f64 {
        match &self.body {
            Body::Recurrent(recurrent) => recurrent.dropout,
            Body::Transformer(transformer) => transformer.dropout,
            Body::EncoderDecoder(body) => body.decoder.dropout,
            Body::TransformerEncoderDecoder(body) => body.dropout,
            Body::Ngram(_) => panic!("a network"),
        }
    }

    /// Its layers in words: the cell and its options, or a transformer with its.
    ///
    /// # Panics
    /// If it is an n-gram model.
    pub fn body_description(&self) -> String {
        match &self.body {
            Body::Recurrent(recurrent) => recurrent.cell_description(),
            Body::Transformer(transformer) => transformer.description(),
            Body::EncoderDecoder(body) => body.decoder.cell_description(),
            Body::TransformerEncoderDecoder(body) => body.description(),
            Body::Ngram(_) => panic!("a network"),
        }
    }

    /// The name of what its layers are made of: of a cell, or of a transformer.
    ///
    /// # Panics
    /// If it is an n-gram model.
    pub fn body_name(&self) -> &'static str {
        match &self.body {
            Body::Recurrent(recurrent) => recurrent.cell.name(),
            Body::Transformer(_) | Body::TransformerEncoderDecoder(_) => "transformer",
            Body::EncoderDecoder(body) => body.decoder.cell.name(),
            Body::Ngram(_) => panic!("a network"),
        }
    }

    /// The directions in which texts are read.
    pub fn directions(&self) -> &'static [Direction] {
        self.carried()
            .map_or(&[Direction::Forward], Recurrent::directions)
    }

    /// The recurrent layers below the head: those of a translator's decoder; `None` where there are none.
    pub fn last_layers(&self) -> Option<&Recurrent> {
        match &self.body {
            Body::Recurrent(recurrent) => Some(recurrent),
            Body::EncoderDecoder(body) => Some(&body.decoder),
            Body::Transformer(_) | Body::Ngram(_) | Body::TransformerEncoderDecoder(_) => None,
        }
    }

    /// The n-grams of an n-gram model; `None` for a network.
    pub fn ngram_body(&self) -> Option<&Ngrams> {
        match &self.body {
            Body::Ngram(ngrams) => Some(ngrams),
            _ => None,
        }
    }

    /// The recurrent encoder and decoder of a translator; `None` for other models.
    pub fn encoder_decoder(&self) -> Option<&EncoderDecoder> {
        match &self.body {
            Body::EncoderDecoder(body) => Some(body),
            _ => None,
        }
    }

    /// The encoder and the decoder of a translator that is a transformer; `None` for other models.
    pub fn transformer_encoder_decoder(&self) -> Option<&TransformerEncoderDecoder> {
        match &self.body {
            Body::TransformerEncoderDecoder(body) => Some(body),
            _ => None,
        }
    }

    /// What a translator writes; `None` for other models.
    pub fn target(&self) -> Option<Target<'_>> {
        match &self.body {
            Body::EncoderDecoder(body) => Some(body.written()),
            Body::TransformerEncoderDecoder(body) => Some(body.written()),
            Body::Recurrent(_) | Body::Transformer(_) | Body::Ngram(_) => None,
        }
    }

    /// The command that uses it.
    pub fn command(&self) -> &'static str {
        match (&self.body, &self.head) {
            (Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_), _) => "translate",
            (_, Head::NextToken(_)) => "generate",
            (_, Head::Labels(_)) => "classify",
            (_, Head::Values(_)) => "forecast",
        }
    }

    /// Checks that it is no translator, which reads sentences with a command of its own. `folder` is the model's.
    ///
    /// # Errors
    /// If it is one.
    pub fn check_no_translator(&self, folder: &Path) -> Result<()> {
        match &self.body {
            Body::Recurrent(_) | Body::Transformer(_) | Body::Ngram(_) => Ok(()),
            Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_) => {
                Err(Error::new(format!(
                    "{0} is a translator; use it with `carousel translate -m {0}`, and evaluate it with `carousel evaluate -m {0} \
                 PAIRS`",
                    folder.display()
                )))
            }
        }
    }

    /// Checks that it is a network of one stack, which another training can go on from. `folder` is the model's.
    ///
    /// # Errors
    /// If it is an n-gram model or a translator.
    pub fn check_network(&self, folder: &Path) -> Result<()> {
        match &self.body {
            Body::Recurrent(_) | Body::Transformer(_) => Ok(()),
            Body::Ngram(_) => Err(Error::new(format!(
                "{} is an n-gram model, which has no layers to go on from; give a network with --from",
                folder.display()
            ))),
            Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_) => {
                Err(Error::new(format!(
                    "{} is a translator, which neither a language model nor a classifier can go on from; give a network of texts \
                 with --from",
                    folder.display()
                )))
            }
        }
    }

    /// A classifier's labels; empty for a language model.
    pub fn labels(&self) -> &[String] {
        match &self.head {
            Head::Labels(head) => &head.labels,
            Head::NextToken(_) | Head::Values(_) => &[],
        }
    }

    /// Number of n-grams that a classifier has weights for; `None` for a language model.
    pub fn ngrams(&self) -> Option<usize> {
        match &self.head {
            Head::Labels(head) => Some(head.ngrams),
            Head::NextToken(_) | Head::Values(_) => None,
        }
    }

    /// What is done to a text before it is read: nothing, except by a classifier.
    pub fn preprocessing(&self) -> Preprocessing {
        match &self.head {
            Head::Labels(head) => head.preprocessing,
            Head::NextToken(_) | Head::Values(_) => Preprocessing::None,
        }
    }

    /// Whether the embedding is the output's weights too.
    pub fn tie_weights(&self) -> bool {
        matches!(&self.head, Head::NextToken(head) if head.tie_weights)
    }

    /// The head of a language model.
    ///
    /// # Panics
    /// If it is a classifier or a forecaster.
    pub fn next_token(&self) -> &NextToken {
        match &self.head {
            Head::NextToken(head) => head,
            Head::Labels(_) | Head::Values(_) => panic!("a language model"),
        }
    }

    /// Width of the words' vectors by latent semantic analysis; 0 without.
    pub fn lsa_size(&self) -> usize {
        match &self.head {
            Head::NextToken(head) => head.lsa_size,
            Head::Labels(_) | Head::Values(_) => 0,
        }
    }

    /// Name and shape of every tensor that is learnt by gradients, in a fixed order.
    pub fn tensors(&self) -> TensorShapes {
        let (layers, pooled_size) = match &self.body {
            Body::Recurrent(recurrent) => (
                recurrent.tensors(self.input_size(), recurrent.hidden_size),
                recurrent.pooled_size(),
            ),
            Body::Transformer(transformer) => (transformer.tensors(), 0),
            Body::EncoderDecoder(body) => return body.tensors(self.tokens(), self.next_token()),
            Body::TransformerEncoderDecoder(body) => {
                return body.tensors(self.tokens(), self.next_token());
            }
            Body::Ngram(_) => return Vec::new(),
        };
        let input = match &self.input {
            Input::Tokens(tokens) => tokens.tensors(),
            Input::Numbers(_) => Vec::new(),
        };
        let head = match &self.head {
            Head::NextToken(head) => head.tensors(self.tokens().vocab_size, self.hidden_size()),
            Head::Labels(head) => head.tensors(pooled_size),
            Head::Values(head) => head.tensors(self.hidden_size()),
        };
        [input, layers, head].concat()
    }

    /// Names of the matrices that a copy in 8 bits has as int8: those that are only multiplied, so that int8 products with the
    /// copy are those with the original. A small vocabulary's products with the first layer are tables that are computed in
    /// float32.
    pub fn int8_tensors(&self) -> Vec<String> {
        // With input feeding, a token's vector is rounded together with what stands beside it.
        let (has_tables, beside) = match &self.body {
            Body::Recurrent(_) => (self.tokens().vocab_size <= TABLE_TOKENS, None),
            // The vectors of tokens and positions are added up in float32.
            Body::Transformer(_) | Body::TransformerEncoderDecoder(_) => (true, None),
            Body::EncoderDecoder(body) if body.input_feeding => {
                (false, Some(body.written().embedding()))
            }
            Body::EncoderDecoder(_) => (false, None),
            Body::Ngram(_) => return Vec::new(),
        };
        let in_tables = |name: &str| {
            [EMBEDDING, TARGET_EMBEDDING, POSITION_EMBEDDING].contains(&name)
                || name.ends_with(".weight_ih_l0")
        };
        let is_multiplied = |name: &str, shape: &[usize]| {
            let is_exact = name == HEAD_WEIGHT || Some(name) == beside;
            shape.len() == 2 && !is_exact && !(has_tables && in_tables(name))
        };
        let words = (self.lsa_size() > 0).then(|| LSA_WEIGHT.to_string());
        let all = self.tensors().into_iter();
        let multiplied = all.filter(|(name, shape)| is_multiplied(name, shape));
        multiplied.map(|(name, _)| name).chain(words).collect()
    }

    /// Name and shape of every other tensor.
    pub fn fitted(&self) -> TensorShapes {
        match (&self.body, &self.head) {
            (Body::Ngram(ngrams), _) => ngrams.tensors(),
            (_, Head::NextToken(head)) => head.fitted(self.tokens().vocab_size),
            (_, Head::Labels(head)) => head.fitted(),
            (_, Head::Values(_)) => Vec::new(),
        }
    }

    /// The names of the head's weights, which may be the embedding, and of its bias.
    pub fn head_tensors(&self) -> (&'static str, &'static str) {
        if let (Some(target), Head::NextToken(head)) = (self.target(), &self.head) {
            return (target.output_weight(head), OUTPUT_BIAS);
        }
        match &self.head {
            Head::NextToken(head) if head.tie_weights => (EMBEDDING, OUTPUT_BIAS),
            Head::NextToken(_) | Head::Values(_) => (OUTPUT_WEIGHT, OUTPUT_BIAS),
            Head::Labels(_) => (HEAD_WEIGHT, HEAD_BIAS),
        }
    }

    /// The direction whose stack a tensor belongs to; `None` for tensors that all directions share.
    pub fn direction_of(&self, tensor: &str) -> Option<Direction> {
        let Body::Recurrent(recurrent) = &self.body else {
            return None;
        };
        let stack = tensor.split_once('.')?.0;
        let mut directions = recurrent.directions().iter().copied();
        directions.find(|&direction| stack_name(direction) == stack)
    }

    /// Number of the layer that a tensor belongs to; `None` for other tensors.
    pub fn layer_of(&self, tensor: &str) -> Option<usize> {
        if let Some(transformer) = self.transformer() {
            return transformer.layer_of(tensor);
        }
        self.direction_of(tensor)?;
        tensor.rsplit_once("_l")?.1.parse().ok()
    }

    /// Number of parameters: of values that are learnt by gradients.
    pub fn parameters(&self) -> usize {
        let count = |(_, shape): &(String, Vec<usize>)| shape.iter().product::<usize>();
        self.tensors().iter().map(count).sum()
    }

    /// The configuration as config.json has it.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::json!({ "format_version": FORMAT_VERSION });
        let own = serde_json::to_value(self).expect("a configuration is plain data");
        if let (Value::Object(json), Value::Object(own)) = (&mut json, own) {
            json.extend(own);
        }
        json
    }

    /// Reads a configuration of either format version, and checks it.
    ///
    /// # Errors
    /// An unknown version; keys that are missing or invalid; sizes that are impossible.
    pub fn from_json(json: &Value) -> Result<Self> {
        let invalid = |e: serde_json::Error| Error::new(e.to_string());
        let config = match json.get("format_version").and_then(Value::as_u64) {
            Some(1) => {
                let (input, body, head) = Version1::deserialize(json).map_err(invalid)?.parts();
                ModelConfig { input, body, head }
            }
            Some(2) => ModelConfig::deserialize(json).map_err(invalid)?,
            Some(other) => {
                return Err(Error::new(format!(
                    "the checkpoint has format version {other}, and this program reads versions 1 and {FORMAT_VERSION}; \
                     use the version of carousel that wrote it"
                )));
            }
            None => {
                return Err(Error::new("missing field `format_version`"));
            }
        };
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::Labels;
    use super::super::encoder_decoder::Attention;
    use super::*;
    use crate::text::{Level, Split};
    use carousel_kernels::recurrent::Cell;

    fn config(head: Head, bidirectional: bool) -> ModelConfig {
        ModelConfig {
            input: Input::Tokens(Tokens {
                level: Level::Character,
                split: Split::Natural,
                vocab_size: 65,
                embedding_size: 512,
            }),
            body: Body::Recurrent(Recurrent {
                bidirectional,
                ..Recurrent::new(Cell::Lstm, 512, 2)
            }),
            head,
        }
    }

    fn next_token(tie_weights: bool) -> Head {
        Head::NextToken(NextToken {
            tie_weights,
            ..NextToken::default()
        })
    }

    #[test]
    fn parameters_are_counted_as_pytorch_counts_them() {
        // sum(p.numel()) over nn.Embedding(65, 512), nn.LSTM(512, 512, 2), nn.Linear(512, 65)
        assert_eq!(
            config(next_token(false), false).parameters(),
            33_280 + 4_202_496 + 33_345
        );
        assert_eq!(
            config(next_token(true), false).parameters(),
            33_280 + 4_202_496 + 65
        );
        let both = config(next_token(true), true);
        assert_eq!(both.parameters(), 33_280 + 2 * 4_202_496 + 65);
        let directions: Vec<_> = both
            .tensors()
            .iter()
            .map(|(name, _)| both.direction_of(name))
            .collect();
        let stacks = [[Some(Direction::Forward); 8], [Some(Direction::Reverse); 8]].concat();
        assert_eq!(directions, [vec![None], stacks, vec![None]].concat());
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(config(next_token(true), false).check().is_ok());
        let mut narrow = config(next_token(true), false);
        narrow.tokens_mut().embedding_size = 100;
        assert!(narrow.check().is_err());
        let labels = vec!["one".to_string()];
        assert!(
            config(
                Head::Labels(Labels {
                    labels,
                    ngrams: 0,
                    preprocessing: Preprocessing::None
                }),
                false
            )
            .check()
            .is_err()
        );
    }

    #[test]
    fn a_forecaster_comes_back_and_is_checked() {
        let json = serde_json::json!({
            "format_version": 2,
            "input": {"type": "numbers", "window": 56, "lags": 7, "season": 7, "logarithms": false, "others": 1, "known": 2},
            "body": {"type": "recurrent", "cell": "gru", "hidden_size": 32, "num_layers": 1, "dropout": 0.0},
            "head": {"type": "values", "strategy": "at-once", "horizon": 14, "quantiles": [0.1, 0.5, 0.9]},
        });
        let config = ModelConfig::from_json(&json).unwrap();
        assert_eq!(config.to_json(), json);
        // Lags of two columns, the season's 7 phases, two columns now and a season before, and the spread.
        assert_eq!(config.input_size(), 2 * 7 + 7 + 2 * 2 * 14 + 1);
        // nn.GRU(78, 32) and nn.Linear(32, 42)
        assert_eq!(config.parameters(), 3 * 32 * (78 + 32 + 2) + 42 * 33);
        let mut gaussian = json.clone();
        gaussian["head"]["distribution"] = "gaussian".into();
        let other = ModelConfig::from_json(&gaussian).unwrap();
        assert_eq!(other.to_json(), gaussian);
        // A mean and a deviation in place of three quantiles.
        assert_eq!(config.parameters() - other.parameters(), 14 * 33);
        for (part, key, value) in [
            ("input", "window", serde_json::json!(0)),
            ("head", "quantiles", serde_json::json!([0.9, 0.5])),
            ("head", "horizon", serde_json::json!(0)),
        ] {
            let mut wrong = json.clone();
            wrong[part][key] = value;
            assert!(ModelConfig::from_json(&wrong).is_err(), "{part} {key}");
        }
        let mut mixed = config;
        mixed.head = next_token(false);
        assert!(mixed.check().is_err());
    }

    #[test]
    fn a_translator_comes_back_and_is_counted() {
        let mut translator = config(next_token(true), false);
        let target = Tokens {
            vocab_size: 50,
            embedding_size: 20,
            ..translator.tokens().clone()
        };
        translator.body = Body::EncoderDecoder(EncoderDecoder {
            target,
            shared_vocabulary: false,
            encoder: Recurrent {
                bidirectional: true,
                ..Recurrent::new(Cell::Gru, 10, 1)
            },
            decoder: Recurrent::new(Cell::Lstm, 30, 2),
            attention: Attention::Dot,
            input_feeding: true,
        });
        assert_eq!(
            ModelConfig::from_json(&translator.to_json()).unwrap(),
            translator
        );
        // nn.Embedding(65, 512), nn.GRU(512, 10, bidirectional=True), nn.Embedding(50, 20), nn.LSTMCell(40, 30),
        // nn.LSTMCell(50, 30), nn.Linear(20, 120) for both states of both layers, nn.Linear(30, 20, bias=False),
        // nn.Linear(50, 20), and the output's bias
        let encoder = 65 * 512 + 2 * 30 * (512 + 10 + 2);
        let decoder = 50 * 20 + 120 * (40 + 30 + 2) + 120 * (50 + 30 + 2);
        let rest = 120 * (20 + 1) + 20 * 30 + 20 * (50 + 1) + 50;
        assert_eq!(translator.parameters(), encoder + decoder + rest);
        let mut wrong = translator.clone();
        if let Body::EncoderDecoder(body) = &mut wrong.body {
            body.shared_vocabulary = true;
        }
        assert!(wrong.check().is_err());
    }

    #[test]
    fn a_transformer_that_translates_comes_back_and_is_counted() {
        let mut translator = config(next_token(true), false);
        translator.tokens_mut().embedding_size = 32;
        let target = Tokens {
            vocab_size: 50,
            ..translator.tokens().clone()
        };
        let body = TransformerEncoderDecoder::new(target, false, 3);
        assert_eq!((body.heads, body.feed_forward_size), (4, 128));
        translator.body = Body::TransformerEncoderDecoder(body.clone());
        let json = translator.to_json();
        assert_eq!(json["body"]["type"], "transformer_encoder_decoder");
        assert_eq!(ModelConfig::from_json(&json).unwrap(), translator);
        // nn.Embedding(65, 32), nn.Embedding(50, 32), nn.Transformer(32, 4, 3, 3, 128, bias=False) and the output's bias
        let (attention, feed_forward) = (4 * 32 * 32 + 32, 2 * 32 * 128 + 32);
        let layers = 3 * (attention + feed_forward) + 3 * (2 * attention + feed_forward);
        assert_eq!(
            translator.parameters(),
            (65 + 50) * 32 + layers + 2 * 32 + 50
        );
        let exact = ["embedding.weight", "target_embedding.weight"].map(String::from);
        let rounded = translator.int8_tensors();
        assert_eq!(rounded.len(), 3 * 4 + 3 * 6);
        assert!(exact.iter().all(|name| !rounded.contains(name)));
        for wrong in [
            TransformerEncoderDecoder {
                heads: 5,
                ..body.clone()
            },
            TransformerEncoderDecoder {
                hidden_size: 64,
                ..body.clone()
            },
            TransformerEncoderDecoder {
                shared_vocabulary: true,
                ..body
            },
        ] {
            translator.body = Body::TransformerEncoderDecoder(wrong);
            assert!(translator.check().is_err(), "{translator:?}");
        }
    }

    #[test]
    fn json_comes_back_and_version_1_is_converted() {
        let labels = ["a", "b"].map(String::from).to_vec();
        let classifier = config(
            Head::Labels(Labels {
                labels,
                ngrams: 7,
                preprocessing: Preprocessing::None,
            }),
            true,
        );
        for config in [classifier.clone(), config(next_token(true), false)] {
            assert_eq!(ModelConfig::from_json(&config.to_json()).unwrap(), config);
        }
        let version1 = serde_json::json!({
            "format_version": 1, "task": "classifier", "level": "char", "split": "natural", "cell": "lstm",
            "vocab_size": 65, "embedding_size": 512, "hidden_size": 512, "num_layers": 2, "dropout": 0.0,
            "tie_weights": false, "bidirectional": true, "labels": ["a", "b"], "ngrams": 7,
        });
        assert_eq!(ModelConfig::from_json(&version1).unwrap(), classifier);
        let later = serde_json::json!({ "format_version": 3 });
        let message = ModelConfig::from_json(&later).unwrap_err().to_string();
        assert!(message.contains("format version 3"), "{message}");
    }
}
