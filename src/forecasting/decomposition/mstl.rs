/*!
MSTL: decomposition by several seasons, each taken by STL from what the others leave (Bandara, Hyndman and Bergmeir 2021).
*/

use super::gaps::filled;
use super::parts::{Composition, Decomposition};
use super::stl::Stl;
use crate::error::{Error, Result};

/// Rounds over the seasons.
const ROUNDS: usize = 2;

/// Decomposes a series by several seasons, from the shortest; the first is smoothed over 11 of its own, the next over
/// 15, and so on.
///
/// # Errors
///
/// Without a season, and with fewer values than two of the longest.
pub fn mstl(values: &[f64], seasons: &[usize]) -> Result<Decomposition> {
    let mut seasons = seasons.to_vec();
    seasons.sort_unstable();
    seasons.dedup();
    if seasons.is_empty() {
        return Err(Error::new(
            "a decomposition needs a season, and none was given",
        ));
    }
    let rounds = if seasons.len() == 1 { 1 } else { ROUNDS };
    let mut rest = filled(values).into_owned();
    let mut parts = vec![vec![0.0; rest.len()]; seasons.len()];
    let mut trend = Vec::new();
    for _ in 0..rounds {
        for (index, (season, part)) in seasons.iter().zip(&mut parts).enumerate() {
            rest.iter_mut()
                .zip(&*part)
                .for_each(|(rest, part)| *rest += part);
            let decomposition = Stl::new(*season, 11 + 4 * index).decompose(&rest)?;
            trend = decomposition.trend;
            *part = decomposition.seasons.into_iter().next().unwrap_or_default();
            rest.iter_mut()
                .zip(&*part)
                .for_each(|(rest, part)| *rest -= part);
        }
    }
    let pairs = values.iter().zip(rest.iter().zip(&trend));
    let remainder = pairs.map(|(value, (rest, trend))| match value.is_finite() {
        true => rest - trend,
        false => f64::NAN,
    });
    Ok(Decomposition {
        composition: Composition::Additive,
        remainder: remainder.collect(),
        trend,
        seasons: parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `MSTL(z, periods=(7, 30)).fit()` of statsmodels 0.15.
    #[test]
    fn parts_are_those_of_statsmodels() {
        let turn = std::f64::consts::TAU;
        let values: Vec<f64> = (0..240)
            .map(|step: i32| {
                let time = f64::from(step);
                let seasons = 4.0 * (turn * time / 7.0).sin() + 6.0 * (turn * time / 30.0).cos();
                50.0 + 0.1 * time + seasons + 0.5 * f64::from(step * 13 % 17 - 8)
            })
            .collect();
        let found = mstl(&values, &[30, 7]).unwrap();
        let expected = [
            (0, [49.522523179, -2.0839081203, 7.388717197]),
            (50, [55.0009258662, 4.0846366647, -5.9448234462]),
            (123, [62.3162535979, -2.4011290998, 3.7657343286]),
            (239, [73.9933856416, 2.2346511842, 10.0818672614]),
        ];
        for (place, parts) in expected {
            let found_parts = [
                found.trend[place],
                found.seasons[0][place],
                found.seasons[1][place],
            ];
            for (found, expected) in found_parts.iter().zip(parts) {
                assert!((found - expected).abs() < 1e-8, "{place}");
            }
            let rest = values[place] - parts.iter().sum::<f64>();
            assert!((found.remainder[place] - rest).abs() < 1e-8);
        }
        assert!(mstl(&values, &[]).is_err());
        assert!(mstl(&values, &[7, 121]).is_err());
    }
}
