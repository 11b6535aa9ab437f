/*!
The range of an axis.
*/

use std::ops::Range;

/// Range from the lowest to the highest finite value, widened where they are equal.
pub(crate) fn bounds(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (lowest, highest) = (lowest.min(value), highest.max(value));
    }
    let margin = if highest > lowest {
        0.0
    } else {
        lowest.abs().max(1.0) / 2.0
    };
    (lowest <= highest).then_some(lowest - margin..highest + margin)
}
