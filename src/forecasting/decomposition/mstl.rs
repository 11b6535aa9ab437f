/*!
MSTL: decomposition by several seasons, each taken by STL from what the others leave (Bandara, Hyndman and Bergmeir 2021).
*/

use super::gaps::filled;
use super::parts::{Composition, Decomposition};
use super::stl::Stl;
use crate::error::{Error, Result};

/// Rounds over the seasons.
const ROUNDS: usize = 2;

/// Decomposes a series by several seasons, from the shortest; the first is smoothed over 11 of its own, the next over 15, and so on.
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
