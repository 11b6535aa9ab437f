/*!
Missing values, and what is put in their place.
*/

use serde::{Deserialize, Serialize};

/// What stands in the place of missing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// Nothing: they stay missing, for models that can leave them out.
    None,
    /// The line between the known neighbours.
    Linear,
    /// The last known value.
    Previous,
    /// Zero, as for sales on days without any.
    Zero,
    /// The mean of the known values.
    Mean,
    /// The line between the neighbours without their season, and the season again.
    Seasonal,
}

impl Fill {
    /// What suits a series: its season, if it has two or more whole ones, else lines.
    pub fn suitable(values: &[f64], season: usize) -> Self {
        match season > 1 && values.len() >= 2 * season {
            true => Fill::Seasonal,
            false => Fill::Linear,
        }
    }

    /// The values without missing ones, if there is any known; before the first known one stands what it is itself.
    pub fn apply(self, values: &[f64], season: usize) -> Vec<f64> {
        let known: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| !value.is_nan())
            .collect();
        if known.len() == values.len() || known.is_empty() {
            return values.to_vec();
        }
        let constant = |constant: f64| -> Vec<f64> {
            let filled = values.iter().map(|value| match value.is_nan() {
                true => constant,
                false => *value,
            });
            filled.collect()
        };
        match self {
            Fill::None => values.to_vec(),
            Fill::Zero => constant(0.0),
            Fill::Mean => constant(known.iter().sum::<f64>() / known.len() as f64),
            Fill::Linear => between(values, |before, after, place| {
                before + (after - before) * place
            }),
            Fill::Previous => between(values, |before, _, _| before),
            Fill::Seasonal => seasonal(values, season),
        }
    }
}

/// Puts a function of both neighbours, and of the place between them from 0 to 1, in the place of missing values.
fn between(values: &[f64], function: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
    let mut filled = values.to_vec();
    let mut before: Option<usize> = None;
    let mut at = 0;
    while at < values.len() {
        if !values[at].is_nan() {
            before = Some(at);
            at += 1;
            continue;
        }
        let after = (at..values.len()).find(|&index| !values[index].is_nan());
        let end = after.unwrap_or(values.len());
        for (index, filled) in filled.iter_mut().enumerate().take(end).skip(at) {
            *filled = match (before, after) {
                (Some(before), Some(after)) => {
                    let place = (index - before) as f64 / (after - before) as f64;
                    function(values[before], values[after], place)
                }
                (Some(one), None) | (None, Some(one)) => values[one],
                (None, None) => f64::NAN,
            };
        }
        at = end;
    }
    filled
}

/// Lines between the neighbours without their season, to which the season is added again. The season is the mean distance,
/// of each of its steps, from the mean of the season around it.
fn seasonal(values: &[f64], season: usize) -> Vec<f64> {
    let season = season.max(1);
    let (mut sums, mut counts) = (vec![0.0; season], vec![0.0; season]);
    let mut window = (0.0, 0.0);
    let mut take = |value: f64, sign: f64| {
        if !value.is_nan() {
            window.0 += sign * value;
            window.1 += sign;
        }
        window
    };
    // A mean over the season that ends half a season after each value.
    for (end, &value) in values.iter().enumerate() {
        let (sum, count) = take(value, 1.0);
        let Some(start) = (end + 1).checked_sub(season) else {
            continue;
        };
        let middle = start + season / 2;
        if !values[middle].is_nan() && count > 0.0 {
            sums[middle % season] += values[middle] - sum / count;
            counts[middle % season] += 1.0;
        }
        take(values[start], -1.0);
    }
    let pattern = |index: usize| match counts[index % season] {
        0.0 => 0.0,
        count => sums[index % season] / count,
    };
    let without: Vec<f64> = (values.iter().enumerate())
        .map(|(index, value)| value - pattern(index))
        .collect();
    let filled = Fill::Linear.apply(&without, 1);
    let back = filled
        .iter()
        .enumerate()
        .map(|(index, value)| match values[index].is_nan() {
            true => value + pattern(index),
            false => values[index],
        });
    back.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: f64 = f64::NAN;

    #[test]
    fn each_way_fills_by_its_rule() {
        let values = [N, 2.0, N, N, 8.0, N];
        for (fill, expected) in [
            (Fill::Linear, [2.0, 2.0, 4.0, 6.0, 8.0, 8.0]),
            (Fill::Previous, [2.0, 2.0, 2.0, 2.0, 8.0, 8.0]),
            (Fill::Zero, [0.0, 2.0, 0.0, 0.0, 8.0, 0.0]),
            (Fill::Mean, [5.0, 2.0, 5.0, 5.0, 8.0, 5.0]),
        ] {
            assert_eq!(fill.apply(&values, 1), expected, "{fill:?}");
        }
        assert!(Fill::None.apply(&values, 1)[2].is_nan());
        assert!(
            Fill::Linear
                .apply(&[N, N], 1)
                .iter()
                .all(|value| value.is_nan())
        );
    }

    /// A line with a season of four that sums to zero: what is missing is exactly what the rule gives.
    #[test]
    fn seasons_are_kept() {
        let pattern = [3.0, -1.0, -4.0, 2.0];
        let whole: Vec<f64> = (0..40)
            .map(|t| 100.0 + f64::from(t) + pattern[t as usize % 4])
            .collect();
        let mut values = whole.clone();
        values[17] = N;
        values[22] = N;
        let filled = Fill::suitable(&values, 4).apply(&values, 4);
        for (filled, whole) in filled.iter().zip(&whole) {
            assert!((filled - whole).abs() < 0.6, "{filled} {whole}");
        }
    }
}
