//! The program as its users meet it, where nothing is trained, and properties that hold for any text.

/// What each wrong use says, whole.
mod errors;
/// Writing, measuring and looking at models, with a model made by hand: no libtorch is needed.
mod inference;
/// A fresh folder for each test, and the programs run in it.
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod sandbox;
/// Properties of tokenizers and of the ways a text is cut.
mod text;

/// `carousel`, as cargo has built it.
fn program() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_carousel").into()
}
