/*!
Output of `carousel classify --explain`.
*/

use super::standard;
use crate::error::Result;
use crate::inference::explanation::{Explanation, Piece};
use crate::text::escape::{escaped, escaped_lines};

/// Number of pieces that are listed where there are no colours.
const LISTED: usize = 10;

/// Prints the text with pieces that speak for the label in green and pieces against it in red; without colours, the pieces
/// of the largest effect.
pub fn print(explanation: &Explanation, label: &str) -> Result<()> {
    let label = escaped(label);
    if standard::has_colours() {
        let coloured: Vec<String> = explanation.pieces.iter().map(coloured).collect();
        let (green, red) = (paint(28, "for"), paint(124, "against"));
        standard::line(coloured.concat().trim())?;
        return standard::line(format!("    {green} or {red} {label}"));
    }
    let mut pieces: Vec<_> = explanation.pieces.iter().collect();
    pieces.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    standard::line(format!(
        "    + for, - against {label}: how far its log odds fall when the word is left out"
    ))?;
    for piece in pieces.iter().take(LISTED) {
        standard::line(format!(
            "    {:+8.3}  {}",
            piece.contribution,
            escaped(piece.text.trim())
        ))?;
    }
    Ok(())
}

/// A piece on a background whose colour shows its effect.
fn coloured(piece: &Piece) -> String {
    let text = escaped_lines(&piece.text);
    match piece.contribution {
        c if c > 0.5 => paint(28, &text),
        c if c > 0.15 => paint(22, &text),
        c if c < -0.5 => paint(124, &text),
        c if c < -0.15 => paint(52, &text),
        _ => text.into_owned(),
    }
}

/// A text on a background of the terminal's 256 colours.
fn paint(colour: u8, text: &str) -> String {
    format!("\x1b[48;5;{colour}m\x1b[97m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_sign_and_data_has_none() {
        let piece = |contribution| {
            let text = "\x1b[5mword ".to_string();
            coloured(&Piece { text, contribution })
        };
        assert_eq!(piece(0.6), "\x1b[48;5;28m\x1b[97m\\x1b[5mword \x1b[0m");
        assert_eq!(piece(-0.6), "\x1b[48;5;124m\x1b[97m\\x1b[5mword \x1b[0m");
        assert_eq!(piece(0.1), "\\x1b[5mword ");
    }
}
