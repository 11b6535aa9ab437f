/*!
The parts that a network is put together from: an input, a body and a head.
*/

use serde::{Deserialize, Serialize};

use super::architecture::{Labels, NextToken, Ngrams, Recurrent, Tokens};
use super::encoder_decoder::EncoderDecoder;
use super::numbers::{Numbers, Values};
use super::transformer::Transformer;
use super::transformer_encoder_decoder::TransformerEncoderDecoder;

/// What a network reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Input {
    /// Tokens of a text.
    Tokens(Tokens),
    /// Numbers of a series.
    Numbers(Numbers),
}

/// What turns vectors of tokens into outputs for each position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// Stacked recurrent layers.
    Recurrent(Recurrent),
    /// Stacked layers of attention.
    Transformer(Transformer),
    /// N-grams, which are counted instead of learnt by gradients.
    Ngram(Ngrams),
    /// An encoder, and a decoder that writes another sequence.
    EncoderDecoder(EncoderDecoder),
    /// The same of layers of attention.
    TransformerEncoderDecoder(TransformerEncoderDecoder),
}

/// What predicts from the body's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Head {
    /// Predicts the next token: a language model.
    NextToken(NextToken),
    /// Predicts a text's label: a classifier.
    Labels(Labels),
    /// Predicts the next values of a series: a forecaster.
    Values(Values),
}
