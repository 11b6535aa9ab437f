/*!
Text as token ids. Nothing here depends on a model.

[`source`] reads files as text, [`vocabulary`] makes a vocabulary of it, [`tokenizer`] defines the token ids,
[`encoder`] computes them fast, [`corpus`] keeps them on disk, and [`streams`] divides them for training and evaluation.
[`features`] are those of the linear classifier; [`spelling`] is the cost of unknown words; [`escape`] shows data on a
line.
*/

pub mod corpus;
pub(crate) mod decoding;
mod direction;
pub mod encoder;
pub mod escape;
pub mod features;
mod level;
pub mod source;
pub mod spelling;
mod splitter;
pub mod streams;
pub mod tokenizer;
pub mod vocabulary;

pub use direction::Direction;
pub use level::{Level, Split};
