//! The program as its users meet it, and properties that hold for any text. One binary for all of it.

/// Learning labels, telling them, and measuring that.
#[cfg(feature = "train")]
mod classifier;
/// What each wrong use says, whole.
mod errors;
/// Writing, measuring and looking at models, with a model made by hand: no libtorch is needed.
mod inference;
/// A fresh folder for each test, and the programs run in it.
mod sandbox;
/// Properties of tokenizers and of the ways a text is cut.
mod text;
/// Learning, and being interrupted.
#[cfg(feature = "train")]
mod training;
