/*!
Missing values filled, for methods that need every value.
*/

use std::borrow::Cow;

/// Values with those that are missing (not finite) on the line between their neighbours, and at the ends as the
/// nearest. All are 0 if none is known.
pub fn filled(values: &[f64]) -> Cow<'_, [f64]> {
    if values.iter().all(|value| value.is_finite()) {
        return Cow::Borrowed(values);
    }
    let mut filled = values.to_vec();
    let mut last: Option<usize> = None;
    for index in 0..values.len() {
        if !values[index].is_finite() {
            continue;
        }
        let first = last.map_or(0, |last| last + 1);
        let gap = &mut filled[first..index];
        let steps = gap.len() as f64 + 1.0;
        for (step, place) in gap.iter_mut().enumerate() {
            *place = match last {
                None => values[index],
                Some(last) => {
                    let share = (step + 1) as f64 / steps;
                    values[last] * (1.0 - share) + values[index] * share
                }
            };
        }
        last = Some(index);
    }
    let (first, value) = match last {
        Some(last) => (last + 1, values[last]),
        None => (0, 0.0),
    };
    filled[first..].fill(value);
    Cow::Owned(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_become_lines() {
        let nan = f64::NAN;
        let values = [nan, 1.0, nan, nan, 4.0, f64::INFINITY];
        assert_eq!(*filled(&values), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(*filled(&[nan, nan]), [0.0, 0.0]);
        assert!(matches!(filled(&[1.0, 2.0]), Cow::Borrowed(_)));
    }
}
