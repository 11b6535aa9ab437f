/*!
Text as token ids. Nothing here depends on a model.

[`text_reader`] reads text and [`source`] files and folders of it, [`vocabulary`] makes a vocabulary of it, [`tokenizer`]
defines the token ids, [`encoder`] computes them fast, [`corpus`] keeps them on disk, and [`streams`] divides them for
training and evaluation. [`preprocessing`] is what a classifier changes in a text. [`seam`] tells which token can follow another. [`features`] are those of the linear classifier;
[`sentences`] divides a line into sentences. [`spelling`] is the cost of unknown words; [`escape`] shows data on a line.
*/

mod compression;
pub mod corpus;
mod decoding;
mod direction;
pub mod encoder;
pub mod escape;
pub mod features;
mod level;
mod normalization;
pub mod preprocessing;
pub mod seam;
pub mod sentences;
pub mod source;
pub mod spelling;
mod splitter;
pub mod streams;
pub mod text_reader;
pub mod tokenizer;
pub mod vocabulary;

pub use direction::Direction;
pub use level::{Level, Split};
pub use normalization::Normalization;
