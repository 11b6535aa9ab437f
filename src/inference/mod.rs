/*!
Inference with trained models, in plain Rust: text generation, classification, forecasts, evaluation and
explanation.
*/

pub mod affine;
pub mod attention;
pub mod beam_search;
pub mod cache;
pub mod classifier;
pub mod computation;
pub mod encoded_document;
pub mod encoder_decoder;
pub mod evaluation;
pub mod explanation;
pub mod forecaster;
pub mod generated_text;
pub mod generator;
pub mod inspection;
pub mod interpolation;
pub mod label_shares;
pub mod learnt_documents;
pub mod linear;
pub mod log_probabilities;
mod model;
pub mod next_token;
pub mod pooling;
pub mod predictor;
pub mod quantile_network;
pub mod recurrent;
pub mod recurrent_classifier;
pub mod sampling;
pub mod stack;
mod stop_strings;
pub mod transformer;
pub mod transformer_encoder_decoder;
pub mod transformer_layer;
pub mod translation_network;
pub mod translator;

pub use model::Model;
