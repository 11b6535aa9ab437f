/*!
Text coloured by numbers: on a terminal, and as a page.
*/

use crate::text::escape::escaped_lines;

/// Colours of the terminal's 256 for values below zero, from weak to strong.
const NEGATIVE: [u8; 4] = [230, 223, 216, 209];
/// Colours for values above zero.
const POSITIVE: [u8; 4] = [195, 153, 117, 75];
/// Red, green and blue of the strongest values on a page, below and above zero.
const EXTREMES: [[f32; 3]; 2] = [[230.0, 110.0, 40.0], [60.0, 130.0, 240.0]];

/// Tokens of a text with a number each.
pub struct Activations {
    /// What is shown.
    pub title: String,
    /// Tokens and their numbers.
    pub tokens: Vec<(String, f32)>,
}

impl Activations {
    /// The largest absolute number, which has the strongest colour.
    pub fn highest(&self) -> f32 {
        let all = self.tokens.iter().map(|(_, value)| value.abs());
        all.fold(f32::MIN_POSITIVE, f32::max)
    }

    /// The text for a terminal.
    pub fn ansi(&self) -> String {
        let highest = self.highest();
        let coloured = |(token, value): &(String, f32)| {
            let background = background(value / highest);
            // A colour that went over a line's end would fill the rest of the line.
            let lines: Vec<String> = (shown(token).split('\n'))
                .map(|part| match part {
                    "" => String::new(),
                    part => format!("\x1b[38;5;16;48;5;{background}m{part}\x1b[0m"),
                })
                .collect();
            lines.join("\n")
        };
        self.tokens.iter().map(coloured).collect()
    }

    /// A page that needs nothing else; a token's number shows under the mouse.
    pub fn html(&self) -> String {
        let highest = self.highest();
        let title = escaped(&self.title);
        let spans: String = (self.tokens.iter())
            .map(|(token, value)| {
                let [red, green, blue] = rgb(value / highest);
                let token = escaped(&shown(token));
                format!(
                    "<span title=\"{value:+.3}\" style=\"background:rgb({red},{green},{blue})\">{token}</span>"
                )
            })
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n\
             body {{ font: 16px/1.6 monospace; max-width: 50em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff; }}\n\
             pre {{ font: inherit; white-space: pre-wrap; overflow-wrap: break-word; }}\n\
             </style>\n</head>\n<body>\n<h1 style=\"font-size: 1.1em\">{title}</h1>\n\
             <p>Orange is below zero, blue above; the strongest colour is {highest:.3}. Point at a token for its number.</p>\n\
             <pre>{spans}</pre>\n</body>\n</html>\n"
        )
    }
}

/// What the terminal's colours mean.
pub fn legend(highest: f32) -> String {
    let block = |colour: &u8| format!("\x1b[48;5;{colour}m  \x1b[0m");
    let negative: String = NEGATIVE.iter().rev().map(block).collect();
    let positive: String = POSITIVE.iter().map(block).collect();
    format!("-{highest:.3} {negative}{positive} +{highest:.3}")
}

/// A token with its line ends and other control characters made visible.
fn shown(token: &str) -> String {
    escaped_lines(token).replace('\n', "↵\n")
}

/// The terminal's colour of a number between -1 and 1.
fn background(value: f32) -> u8 {
    let colours = if value < 0.0 { NEGATIVE } else { POSITIVE };
    let strength = (value.abs() * colours.len() as f32) as usize;
    colours[strength.min(colours.len() - 1)]
}

/// The page's colour of a number between -1 and 1: white at 0.
fn rgb(value: f32) -> [u8; 3] {
    let strength = value.abs().min(1.0);
    let extreme = EXTREMES[usize::from(value >= 0.0)];
    extreme.map(|colour| (255.0 + (colour - 255.0) * strength).round() as u8)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Activations {
        Activations {
            title: "a & b".to_string(),
            tokens: [("x<", 0.5), ("\n", -1.0), ("", 0.0)]
                .map(|(token, value)| (token.to_string(), value))
                .to_vec(),
        }
    }

    #[test]
    fn pages_are_escaped_and_coloured() {
        let page = example().html();
        for expected in [
            "a &amp; b",
            "x&lt;",
            "rgb(230,110,40)",
            "title=\"+0.500\"",
            "</html>",
        ] {
            assert!(page.contains(expected), "{expected} in {page}");
        }
        assert!(!page.contains("x<<"));
    }

    #[test]
    fn terminal_colours_end_with_the_line() {
        let text = example().ansi();
        assert!(text.contains("48;5;117mx<\x1b[0m"), "{text:?}");
        assert!(text.contains("48;5;209m↵\x1b[0m\n"), "{text:?}");
    }
}
