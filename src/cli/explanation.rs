/*!
Output of `carousel classify --explain`.
*/

use serde_json::{Value, json};

use super::standard;
use crate::error::Result;
use crate::inference::explanation::{Explanation, Piece};

/// Number of pieces that are listed where there are no colours.
const LISTED: usize = 10;

/// The explanation as JSON.
pub fn to_json(explanation: &Explanation) -> Value {
    let piece = |piece: &Piece| {
        json!({
            "text": piece.text.trim(),
            "by_reading": piece.by_reading,
            "by_leaving_out": piece.by_leaving_out,
        })
    };
    explanation.pieces.iter().map(piece).collect()
}

/// Prints the text with pieces that support the label in green and pieces against it in red; without colours, the pieces of
/// the largest effect.
pub fn print(explanation: &Explanation, label: &str) -> Result<()> {
    if standard::has_colours() {
        let coloured: Vec<String> = explanation.pieces.iter().map(coloured).collect();
        return standard::line(coloured.concat().trim());
    }
    let mut pieces: Vec<_> = explanation.pieces.iter().collect();
    pieces.sort_by(|a, b| b.by_leaving_out.abs().total_cmp(&a.by_leaving_out.abs()));
    standard::line(format!(
        "    contribution to the log odds of {label}: by leaving out, by reading"
    ))?;
    for piece in pieces.iter().take(LISTED) {
        standard::line(format!(
            "    {:+8.3}  {:+8.3}  {}",
            piece.by_leaving_out,
            piece.by_reading,
            piece.text.trim()
        ))?;
    }
    Ok(())
}

/// A piece on a background of the terminal's 256 colours.
fn coloured(piece: &Piece) -> String {
    let colour = match piece.by_leaving_out {
        d if d > 0.5 => 28,
        d if d > 0.15 => 22,
        d if d < -0.5 => 124,
        d if d < -0.15 => 52,
        _ => return piece.text.clone(),
    };
    format!("\x1b[48;5;{colour}m\x1b[97m{}\x1b[0m", piece.text)
}
