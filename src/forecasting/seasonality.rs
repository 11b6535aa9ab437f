/*!
Seasons of a series: whether it has one of a given length, and which it has.

A season is believed if two tests agree on the series without its level, a centred moving average as long as the season:
the autocorrelation a season apart, and the part of the variance that the means at each place of the season explain, which
is the periodogram's at the season and its harmonics. Both run on logarithms where all values are above 0, so that swings
that grow with the level count alike.
*/

use serde::Serialize;

use super::decomposition::averages::centred_average;
use super::decomposition::gaps::filled;
use super::spectrum::autocorrelations;

/// Quantile of the normal distribution for the test of the M4 competition: 90 %, two-sided.
const M4_QUANTILE: f64 = 1.645;
/// Number of seasons that a series has to hold.
const REPETITIONS: usize = 3;
/// Most seasons that are looked for without a calendar.
const MOST: usize = 3;
/// Most lags that are tried as a season in one round, those of the greatest autocorrelations.
const TRIED: usize = 20;
/// Number of repetitions up to which a season is one with that which repeats it.
const FEW: usize = 4;
/// Most parts of a season that are tried in its place.
const PARTS: usize = 8;
/// Such a part is taken if it explains this part of what the whole does.
const MUCH: f64 = 0.5;
/// Longest season that is looked for without a calendar: a day of minutes, with room.
const LONGEST: usize = 1500;
/// Most values, from the end, in which a season is looked for without a calendar.
const LOOKED_AT: usize = 100_000;
/// Of several lengths the shortest is taken that explains this part of what the best does.
const NEARLY: f64 = 0.9;

/// What a series says of a season.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Number of steps in the season.
    pub season: usize,
    /// Autocorrelation a season apart.
    pub autocorrelation: f64,
    /// Standard error of that, if there were no season (Bartlett's, from the lags before).
    pub error: f64,
    /// Part of the variance that the season explains, less what it would by chance.
    pub explained: f64,
    /// Whether both are beyond their bounds.
    pub is_believed: bool,
}

/// A season that explains this part of the variance is clear, whatever the standard error: that of a smooth season grows
/// with the season's own autocorrelations.
const CLEAR: f64 = 0.8;

/// Bounds above which evidence is believed.
#[derive(Clone, Copy)]
struct Bounds {
    /// Of the autocorrelation, in standard errors.
    errors: f64,
    /// Of the explained variance.
    explained: f64,
}

/// Bounds for a season that the calendar suggests. On held-out ends of M3 and M4 a false season cost about what a
/// missed one does: Naive2 erred least, or nearly so, with bounds of 1.0 to 1.4 errors and 0 to 0.15 of the variance,
/// in each group of series.
const SUGGESTED: Bounds = Bounds {
    errors: 1.15,
    explained: 0.03,
};
/// Bounds for a suggested season beside a shorter one: on M4's hourly series a false week costs more than a missed one.
const FURTHER: Bounds = Bounds {
    errors: 2.5,
    explained: 0.1,
};
/// Bounds for a season that nothing but the values suggests, the best of many lengths.
const DISCOVERED: Bounds = Bounds {
    errors: 2.5,
    explained: 0.2,
};

impl Evidence {
    fn is_enough(&self, bounds: Bounds) -> bool {
        let is_beyond_chance =
            self.autocorrelation > bounds.errors * self.error || self.explained > CLEAR;
        is_beyond_chance && self.explained > bounds.explained
    }
}

/// Whether the values repeat after a season, as the M4 competition tests it for Naive2: there are three seasons, and
/// the autocorrelation at the season is beyond 1.645 of its standard errors (Bartlett's, from the lags before).
pub fn is_seasonal(values: &[f64], season: usize) -> bool {
    if season < 2 || values.len() < REPETITIONS * season {
        return false;
    }
    let correlations = autocorrelations(&filled(values), season);
    correlations[season].abs() > M4_QUANTILE * standard_error(&correlations, season, values.len())
}

/// Bartlett's standard error of the autocorrelation at a lag, if all from there on are 0.
fn standard_error(correlations: &[f64], lag: usize, count: usize) -> f64 {
    let squares: f64 = correlations[1..lag].iter().map(|r| r * r).sum();
    ((1.0 + 2.0 * squares) / count as f64).sqrt()
}

/// Seasons to expect of values that are `seconds` apart, from the shortest: an hour, a day, a week and a year, of those
/// that hold at least two steps; minutes count only for steps of seconds.
pub fn calendar_seasons(seconds: f64) -> Vec<usize> {
    const DAY: f64 = 86_400.0;
    let days = seconds / DAY;
    // Months and quarters, which are not of one length.
    if (28.0..=31.0).contains(&days) {
        return vec![12];
    }
    if (89.0..=92.0).contains(&days) {
        return vec![4];
    }
    let cycles = [60.0, 3600.0, DAY, 7.0 * DAY, 365.25 * DAY];
    let steps = cycles.into_iter().map(|cycle| cycle / seconds);
    let seasons = steps.filter(|steps| (1.95..1e9).contains(steps));
    seasons.map(|steps| steps.round() as usize).collect()
}

/// What the values say of each of some seasons, from the shortest, each without those before it that are believed. Left
/// out are seasons of which the series does not hold three.
pub fn examine(values: &[f64], seasons: &[usize]) -> Vec<Evidence> {
    let mut rest = stabilised(values);
    let mut seasons = seasons.to_vec();
    seasons.sort_unstable();
    seasons.dedup();
    let mut all = Vec::new();
    let mut bounds = SUGGESTED;
    for season in seasons {
        let Some((mut evidence, means)) = examined(&rest, season) else {
            continue;
        };
        evidence.is_believed = evidence.is_enough(bounds);
        if evidence.is_believed {
            remove(&mut rest, &means);
            bounds = FURTHER;
        }
        all.push(evidence);
    }
    all
}

/// The seasons, of those that the calendar suggests, that the values have, from the shortest.
pub fn suggested_seasons(values: &[f64], suggested: &[usize]) -> Vec<usize> {
    let all = examine(values, suggested).into_iter();
    let believed = all.filter(|evidence| evidence.is_believed);
    believed.map(|evidence| evidence.season).collect()
}

/// The seasons that the values have by themselves, without a calendar, from the shortest. Lags are tried at which the
/// autocorrelation of the differences has a peak.
pub fn discovered_seasons(values: &[f64]) -> Vec<usize> {
    let mut rest = stabilised(&values[values.len().saturating_sub(LOOKED_AT)..]);
    let mut seasons: Vec<usize> = Vec::new();
    while seasons.len() < MOST {
        let least = seasons.last().map_or(2, |last| 2 * last);
        let tried = peaks(&rest, least);
        let all = tried.into_iter().filter_map(|lag| examined(&rest, lag));
        let mut found: Vec<(Evidence, Vec<f64>)> = all
            .filter(|(evidence, _)| evidence.is_enough(DISCOVERED))
            .collect();
        found.sort_by_key(|(evidence, _)| evidence.season);
        let most = found
            .iter()
            .fold(0.0, |most: f64, (evidence, _)| most.max(evidence.explained));
        let nearly = |(evidence, _): &(Evidence, Vec<f64>)| evidence.explained >= NEARLY * most;
        let Some(longer) = found.into_iter().find(nearly) else {
            break;
        };
        let (evidence, means) = part(&rest, &longer.0, least).unwrap_or(longer);
        remove(&mut rest, &means);
        // A season that holds a few of a shorter one says all that the shorter one does; a week of days does not.
        let season = evidence.season;
        seasons.retain(|part| !season.is_multiple_of(*part) || season / part > FEW);
        seasons.push(season);
    }
    seasons
}

/// The shortest part of a season that explains much of what it does: a year of 365.25 days shows best after four.
fn part(values: &[f64], longer: &Evidence, least: usize) -> Option<(Evidence, Vec<f64>)> {
    let season = longer.season as f64;
    let parts = (2..=PARTS)
        .rev()
        .map(|parts| (season / parts as f64).round() as usize);
    let all = parts
        .filter(|part| *part >= least)
        .filter_map(|part| examined(values, part));
    let much = |evidence: &Evidence| {
        evidence.is_enough(DISCOVERED) && evidence.explained >= MUCH * longer.explained
    };
    all.into_iter().find(|(evidence, _)| much(evidence))
}

/// Lags, from `least` to a third of the series, at which the autocorrelation of the differences has a peak beyond
/// chance.
fn peaks(values: &[f64], least: usize) -> Vec<usize> {
    let most = (values.len() / REPETITIONS).min(LONGEST);
    if most < least {
        return Vec::new();
    }
    let differences: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let correlations = autocorrelations(&differences, most + 1);
    let mut squares = 0.0;
    let mut peaks = Vec::new();
    for lag in 1..=most {
        let here = correlations[lag];
        let error = ((1.0 + 2.0 * squares) / differences.len() as f64).sqrt();
        squares += here * here;
        let is_peak = here > correlations[lag - 1].max(correlations[lag + 1]);
        // At lag 2 there is no peak before, but an alternation.
        let is_peak = is_peak || (lag == 2 && here > correlations[3] && here > correlations[1]);
        if lag >= least && is_peak && here > DISCOVERED.errors * error {
            peaks.push(lag);
        }
    }
    peaks.sort_by(|left, right| correlations[*right].total_cmp(&correlations[*left]));
    peaks.truncate(TRIED);
    peaks
}

/// Values without gaps, as logarithms if all are above 0.
fn stabilised(values: &[f64]) -> Vec<f64> {
    let values = filled(values);
    match values.iter().all(|value| *value > 0.0) {
        true => values.iter().map(|value| value.ln()).collect(),
        false => values.into_owned(),
    }
}

/// Evidence of a season, with the means at its places; none if there are not three seasons.
fn examined(values: &[f64], season: usize) -> Option<(Evidence, Vec<f64>)> {
    if season < 2 || values.len() < REPETITIONS * season {
        return None;
    }
    let level = centred_average(values, season);
    let first = season / 2;
    let pairs = values.iter().zip(level);
    let swings: Vec<f64> = pairs.map(|(value, level)| value - level).collect();
    let known = &swings[first..swings.len() - first];
    let correlations = autocorrelations(known, season);
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let (mut sums, mut counts) = (vec![0.0; season], vec![0.0; season]);
    for (index, swing) in known.iter().enumerate() {
        sums[(first + index) % season] += swing - mean;
        counts[(first + index) % season] += 1.0;
    }
    let total: f64 = known.iter().map(|swing| (swing - mean).powi(2)).sum();
    let pairs = sums.iter().zip(&counts);
    let of_season: f64 = pairs
        .map(|(sum, count)| sum * sum / f64::max(*count, 1.0))
        .sum();
    let explained = match total > 0.0 && correlations[0] > 0.0 {
        true => 1.0 - (1.0 - of_season / total) * (count - 1.0) / (count - season as f64),
        false => 0.0,
    };
    let evidence = Evidence {
        season,
        autocorrelation: correlations[season],
        error: standard_error(&correlations, season, known.len()),
        explained,
        is_believed: false,
    };
    let means = sums.iter().zip(&counts);
    let means = means.map(|(sum, count)| sum / f64::max(*count, 1.0));
    Some((evidence, means.collect()))
}

/// Takes a season out.
fn remove(values: &mut [f64], means: &[f64]) {
    for (value, mean) in values.iter_mut().zip(means.iter().cycle()) {
        *value -= mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between −0.5 and 0.5 without any order (a linear congruential generator).
    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let numbers = (0..count).map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        });
        numbers.collect()
    }

    /// Values with a trend, noise, and sharp swings of these lengths and sizes.
    fn series(count: usize, swings: &[(usize, f64)], seed: u64) -> Vec<f64> {
        let mut values = noise(count, seed);
        for (index, value) in values.iter_mut().enumerate() {
            *value += 100.0 + 0.05 * index as f64;
            for (season, size) in swings {
                let place = (index % season) as f64 / *season as f64;
                let wave = (place * std::f64::consts::TAU).sin()
                    + 0.5 * (2.0 * place * std::f64::consts::TAU).cos();
                let rest_days = if place < 0.28 { -1.0 } else { 0.4 };
                *value += size * (wave + rest_days);
            }
        }
        values
    }

    #[test]
    fn seasons_are_found_with_and_without_a_calendar() {
        for (count, swings, suggested) in [
            (120, vec![(12, 3.0)], vec![12]),
            (60, vec![(4, 2.0)], vec![4]),
            (1500, vec![(24, 3.0), (168, 2.0)], vec![24, 168, 8766]),
            (1500, vec![(7, 2.0)], vec![7, 365]),
            (120, vec![], vec![12]),
            (400, vec![], vec![7]),
        ] {
            let values = series(count, &swings, 7);
            let expected: Vec<usize> = swings.iter().map(|(season, _)| *season).collect();
            assert_eq!(suggested_seasons(&values, &suggested), expected);
            assert_eq!(discovered_seasons(&values), expected, "{count}");
        }
        let values = series(1500, &[(7, 2.0), (365, 5.0)], 3);
        assert_eq!(suggested_seasons(&values, &[7, 365]), [7, 365]);
    }

    /// Of fifty random walks and as many series without order hardly any has a season.
    #[test]
    fn chance_is_no_season() {
        let mut found = 0;
        for seed in 0..50 {
            let steps = noise(200, seed);
            let walk = steps.iter().scan(0.0, |sum, step| {
                *sum += step;
                Some(*sum)
            });
            let walk: Vec<f64> = walk.collect();
            found += usize::from(!discovered_seasons(&walk).is_empty());
            found += usize::from(!discovered_seasons(&steps).is_empty());
        }
        assert!(found <= 3, "{found}");
    }

    #[test]
    fn odd_series_have_no_season() {
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        for values in [vec![], vec![1.0], vec![5.0; 40], line, vec![f64::NAN; 20]] {
            assert!(discovered_seasons(&values).is_empty());
            assert!(suggested_seasons(&values, &[0, 1, 2, 4, 12]).is_empty());
            assert!(!is_seasonal(&values, 40));
        }
    }

    #[test]
    fn steps_suggest_their_seasons() {
        assert_eq!(calendar_seasons(3600.0), [24, 168, 8766]);
        assert_eq!(calendar_seasons(1800.0), [2, 48, 336, 17532]);
        assert_eq!(calendar_seasons(86_400.0), [7, 365]);
        assert_eq!(calendar_seasons(7.0 * 86_400.0), [52]);
        assert_eq!(calendar_seasons(30.0 * 86_400.0), [12]);
        assert_eq!(calendar_seasons(91.0 * 86_400.0), [4]);
        assert!(calendar_seasons(365.0 * 86_400.0).is_empty());
    }

    /// By hand: the autocorrelation at 2 of 1, −1, 1, −1, … is 10/12, beyond 1.645 · √((1 + 2 · (11/12)²) / 12).
    #[test]
    fn the_test_of_the_m4_competition() {
        let values: Vec<f64> = (0..12)
            .map(|index| f64::from(1 - 2 * (index % 2)))
            .collect();
        assert!(!is_seasonal(&values[..5], 2));
        assert_eq!(
            is_seasonal(&values, 2),
            10.0 / 12.0 > 1.645 * (2.680_555_6f64 / 12.0).sqrt()
        );
    }
}
