/*!
The pairs of a run: reading, and their division into training and validation pairs.
*/

use std::collections::BTreeSet;

use crate::run::{Event, Notify};
use carousel::checkpoint::record::Request;
use carousel::data::pairs::{Pair, divide, hash};
use carousel::error::{Error, Result};
use carousel::text::corpus::Validation;

/// Fraction of the pairs that validate by default, and the most pairs.
const VALIDATION_FRACTION: f64 = 0.05;
const MOST_VALIDATION: f64 = 1000.0;

/// Training and validation pairs.
pub struct Dataset {
    /// Training pairs.
    pub train: Vec<Pair>,
    /// Validation pairs.
    pub valid: Vec<Pair>,
    /// Hash of all of them.
    pub hash: String,
}

impl Dataset {
    /// Reads the pairs of a request; without files of validation pairs, holds out some.
    ///
    /// # Errors
    /// Files that cannot be read, or that do not belong together; too few pairs.
    pub fn read(request: &Request, notify: Notify) -> Result<Self> {
        let validation = request.arguments.validation()?;
        let mut parts = request.read_pairs()?;
        let notes = parts
            .iter_mut()
            .flat_map(|part| std::mem::take(&mut part.notes));
        notes.for_each(|note| notify(Event::Note(note)));
        let mut parts = parts.into_iter().map(|part| part.pairs);
        let (all, given) = (parts.next().unwrap_or_default(), parts.next());
        let hash = hash(all.iter().chain(given.iter().flatten()));
        let (train, valid) = match (given, validation) {
            (Some(valid), _) => (all, valid),
            (None, Validation::Fraction(fraction)) => divide(all, fraction),
            (None, _) => {
                let most = MOST_VALIDATION / all.len().max(1) as f64;
                divide(all, VALIDATION_FRACTION.min(most))
            }
        };
        if train.is_empty() || valid.is_empty() {
            return Err(Error::new(
                "there are too few pairs to learn from some and hold out others for validation; give more, or validation pairs \
                 with --valid FILE",
            ));
        }
        note_common(&train, &valid, notify);
        Ok(Dataset { train, valid, hash })
    }
}

/// Notes how many validation pairs, which are to show what was learnt, are also among those that it was learnt from.
fn note_common(train: &[Pair], valid: &[Pair], notify: Notify) {
    let known: BTreeSet<&Pair> = train.iter().collect();
    let common = valid.iter().filter(|pair| known.contains(pair)).count();
    if common > 0 {
        notify(Event::Note(format!(
            "{common} of {} validation pairs are training pairs too; their loss and BLEU are too good",
            valid.len()
        )));
    }
}
