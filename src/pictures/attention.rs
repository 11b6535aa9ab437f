/*!
What a translation's words looked at: as blocks on a terminal, and as a picture.
*/

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::inference::translator::Look;
use crate::text::escape::escaped;

/// Blocks for weights, from weak to strong.
const BLOCKS: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Sign of the line end.
const END: &str = "↵";
/// Side of a cell, and the longest side of words beside and above the cells, in pixels.
const CELL: u32 = 26;
const MARGIN: u32 = 140;
/// Characters of a word that are shown in a picture.
const MOST_CHARACTERS: usize = 18;
/// Distance between two parts, in pixels.
const GAP: u32 = 20;

const BLUE: RGBColor = RGBColor(31, 119, 180);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// A line for each word of the target, with a block below each word of the source: the darker, the more it was looked at.
pub fn blocks(look: &Look) -> String {
    let source: Vec<String> = look.source.iter().map(|word| shown(word)).collect();
    let target: Vec<String> = look.target.iter().map(|word| shown(word)).collect();
    let width = |word: &String| word.chars().count();
    let beside = target.iter().map(width).max().unwrap_or(0);
    let mut lines = vec![format!("{:beside$}  {}", "", source.join(" "))];
    for (word, weights) in target.iter().zip(&look.weights) {
        let cells = source.iter().zip(weights).map(|(word, &weight)| {
            let strength = (weight * BLOCKS.len() as f32) as usize;
            let block = BLOCKS[strength.min(BLOCKS.len() - 1)];
            String::from_iter(std::iter::repeat_n(block, width(word)))
        });
        let cells: Vec<String> = cells.collect();
        let padding = " ".repeat(beside - width(word));
        lines.push(format!("{padding}{word}  {}", cells.join(" ")));
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n") + "\n"
}

/// The same as a picture, the parts of a text one below another; `None` if there is nothing to draw.
pub fn svg(looks: &[Look]) -> Option<String> {
    let height = |look: &Look| MARGIN + CELL * look.target.len() as u32 + GAP;
    let widest = looks.iter().map(|look| look.source.len()).max()?;
    let size = (
        MARGIN + CELL * widest as u32 + GAP,
        looks.iter().map(height).sum(),
    );
    let mut picture = String::new();
    let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    area.fill(&WHITE).ok()?;
    let mut top = 0;
    for look in looks {
        draw(&area, look, top)?;
        top += height(look) as i32;
    }
    area.present().ok()?;
    drop(area);
    Some(picture)
}

/// Draws a part below `top`.
fn draw(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    look: &Look,
    top: i32,
) -> Option<()> {
    let (left, top, cell) = (MARGIN as i32, top + MARGIN as i32, CELL as i32);
    let font = || ("sans-serif", 13).into_font();
    let middle = |index: usize| index as i32 * cell + cell / 2;
    for (column, word) in look.source.iter().enumerate() {
        let font = font().transform(FontTransform::Rotate270);
        let style = font.color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let place = (left + middle(column), top - 6);
        area.draw(&Text::new(short(word), place, style)).ok()?;
    }
    for (row, (word, weights)) in look.target.iter().zip(&look.weights).enumerate() {
        let style = font()
            .color(&BLACK)
            .pos(Pos::new(HPos::Right, VPos::Center));
        let place = (left - 6, top + middle(row));
        area.draw(&Text::new(short(word), place, style)).ok()?;
        for (column, &weight) in weights.iter().enumerate() {
            let corner = (left + column as i32 * cell, top + row as i32 * cell);
            let corners = [corner, (corner.0 + cell, corner.1 + cell)];
            let fill = BLUE.mix(f64::from(weight).min(1.0)).filled();
            area.draw(&Rectangle::new(corners, fill)).ok()?;
            area.draw(&Rectangle::new(corners, GREY.mix(0.4))).ok()?;
        }
    }
    Some(())
}

/// A word without white space around it, and with a sign for the line end.
fn shown(word: &str) -> String {
    match word {
        "\n" => END.to_string(),
        // A space among characters.
        _ if word.trim().is_empty() => "␣".to_string(),
        _ => escaped(word.trim()).into_owned(),
    }
}

fn short(word: &str) -> String {
    let word = shown(word);
    match word.chars().count() > MOST_CHARACTERS {
        true => word
            .chars()
            .take(MOST_CHARACTERS - 1)
            .chain(['…'])
            .collect(),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Look {
        let strings = |words: &[&str]| words.iter().map(|word| word.to_string()).collect();
        Look {
            source: strings(&["the", " <old> house", "\n"]),
            target: strings(&["das", " Haus", "\n"]),
            weights: vec![
                vec![1.0, 0.0, 0.0],
                vec![0.3, 0.7, 0.0],
                vec![0.0, 0.1, 0.9],
            ],
        }
    }

    #[test]
    fn blocks_stand_below_the_words() {
        let expected =
            "      the <old> house ↵\n das  ███\nHaus  ░░░ ▓▓▓▓▓▓▓▓▓▓▓\n   ↵                  █\n";
        assert_eq!(blocks(&example()), expected);
    }

    #[test]
    fn pictures_have_every_word_and_weight() {
        let picture = svg(&[example(), example()]).unwrap();
        for word in ["the", "&lt;old&gt; house", "das", "Haus", END] {
            assert!(picture.contains(word), "{word}");
        }
        // The ground, a frame for each weight, and a filling for each that is not zero.
        assert_eq!(picture.matches("<rect").count(), 1 + 2 * (9 + 5));
        assert!(svg(&[]).is_none());
    }
}
