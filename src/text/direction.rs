/*!
Directions in which a network reads a text.
*/

/// Order in which the tokens of a text are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first token to the last.
    Forward,
    /// From the last token to the first.
    Reverse,
}

impl Direction {
    /// The token read at `step`, from 0, of a text whose first token is a line end. Both directions read the line end
    /// first; `Reverse` then reads the others from the last. `None` after the last step.
    pub fn token(self, text: &[u32], step: usize) -> Option<u32> {
        match self {
            Direction::Reverse if (1..text.len()).contains(&step) => Some(text[text.len() - step]),
            _ => text.get(step).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_begin_with_the_line_end() {
        let read = |direction: Direction, text: &[u32]| -> Vec<u32> {
            let tokens = (0..9).map_while(|step| direction.token(text, step));
            tokens.collect()
        };
        assert_eq!(read(Direction::Forward, &[9, 1, 2, 3]), [9, 1, 2, 3]);
        assert_eq!(read(Direction::Reverse, &[9, 1, 2, 3]), [9, 3, 2, 1]);
        assert_eq!(read(Direction::Reverse, &[9]), [9]);
        assert!(read(Direction::Reverse, &[]).is_empty());
    }
}
