/*!
Stop strings, which end a generated text.
*/

/// Finds the first of several stop strings in a text that comes in pieces.
#[derive(Clone, Debug)]
pub(super) struct StopStrings {
    stops: Vec<String>,
    /// End of the text, which may be the beginning of a stop string.
    held: String,
}

impl StopStrings {
    pub(super) fn new(stops: &[String]) -> Self {
        StopStrings {
            stops: stops.to_vec(),
            held: String::new(),
        }
    }

    /// Takes the next piece of the text, and replaces it by what is certain to come before any stop string. Returns whether
    /// a stop string was found.
    pub(super) fn push(&mut self, piece: &mut String) -> bool {
        if self.stops.is_empty() {
            return false;
        }
        self.held.push_str(piece);
        // The stop string that ends first, so that the result does not depend on how the text is cut.
        let found = self.stops.iter().filter_map(|stop| {
            let at = self.held.find(stop)?;
            Some((at + stop.len(), at))
        });
        let first = found.min().map(|(_, at)| at);
        let certain = first.unwrap_or_else(|| {
            let may_begin_stop = |at: &usize| {
                let end = &self.held[*at..];
                self.stops.iter().any(|stop| stop.starts_with(end))
            };
            let starts = self.held.char_indices().map(|(at, _)| at);
            starts
                .chain([self.held.len()])
                .find(may_begin_stop)
                .expect("every string starts with the empty one")
        });
        piece.clear();
        piece.push_str(&self.held[..certain]);
        self.held.drain(..certain);
        first.is_some()
    }

    /// Takes the text that was held back.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_before_the_first_stop_string_however_it_is_cut() {
        let table: [(&[&str], &str, &str, bool); 10] = [
            (&[], "all of it", "all of it", false),
            (&["END"], "all of it", "all of it", false),
            (&["END"], "some END and more", "some ", true),
            (&["END"], "EEND", "E", true),
            (&["END"], "ENEND", "EN", true),
            (&["END"], "at the EN", "at the EN", false),
            (&["aab"], "aaab", "a", true),
            (&["世", "é"], "caf\u{e9} 世", "caf", true),
            (&["later", "ate"], "too late", "too l", true),
            (&["later", "ate"], "too later", "too l", true),
        ];
        for (stops, text, expected, stopped) in table {
            let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
            let characters: Vec<String> = text.chars().map(String::from).collect();
            for size in 1..=characters.len() {
                let (mut matcher, mut found, mut end) =
                    (StopStrings::new(&stops), String::new(), false);
                for piece in characters.chunks(size) {
                    let mut piece = piece.concat();
                    end = matcher.push(&mut piece);
                    found.push_str(&piece);
                    if end {
                        break;
                    }
                }
                if !end {
                    found.push_str(&matcher.rest());
                }
                assert_eq!(
                    (found.as_str(), end),
                    (expected, stopped),
                    "{text} by {size}"
                );
            }
        }
    }
}
