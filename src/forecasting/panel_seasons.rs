/*!
Seasons of a panel: series of one kind are asked together, as what one says by chance the others do not repeat.
*/

use super::seasonality::discovered_seasons;

/// Part of the series that have to say a season for all to be tried with it.
const SHARE: f64 = 0.05;
/// The same for each season after the first.
const SHARE_OF_SECOND: f64 = 0.1;
/// Number of the series that have to.
const LEAST: usize = 3;

/// The seasons that enough of the series show by themselves, the most frequent first; each after the first is a multiple of
/// it. A single series speaks for itself.
pub fn panel_seasons<'a>(series: impl Iterator<Item = &'a [f64]>) -> Vec<usize> {
    let found: Vec<Vec<usize>> = series.map(discovered_seasons).collect();
    voted(&found)
}

/// The seasons that enough of the series have, of those that each has.
fn voted(found: &[Vec<usize>]) -> Vec<usize> {
    if let [only] = found {
        return only.clone();
    }
    let mut votes: Vec<(usize, usize)> = Vec::new();
    for &season in found.iter().flatten() {
        match votes.iter_mut().find(|(voted, _)| *voted == season) {
            Some((_, count)) => *count += 1,
            None => votes.push((season, 1)),
        }
    }
    votes.sort_by_key(|&(season, count)| (std::cmp::Reverse(count), season));
    let enough =
        |count: usize, share: f64| count >= LEAST && count as f64 >= share * found.len() as f64;
    let Some(&(first, count)) = votes.first() else {
        return Vec::new();
    };
    if !enough(count, SHARE) {
        return Vec::new();
    }
    let others = votes[1..]
        .iter()
        .filter(|&&(season, count)| season % first == 0 && enough(count, SHARE_OF_SECOND));
    let others = others.map(|&(season, _)| season);
    [first].into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_season_that_most_series_show_is_for_all() {
        let found = |votes: &[(usize, usize)]| -> Vec<Vec<usize>> {
            let mut found = Vec::new();
            for &(season, count) in votes {
                found.extend(std::iter::repeat_n(vec![season], count));
            }
            found.resize(100, Vec::new());
            found
        };
        assert_eq!(voted(&found(&[(12, 20), (7, 4)])), [12]);
        assert_eq!(voted(&found(&[(24, 60), (168, 20), (36, 20)])), [24, 168]);
        assert!(voted(&found(&[(12, 4), (7, 2)])).is_empty());
        assert_eq!(voted(&[vec![7, 365]]), [7, 365]);
        assert!(voted(&[]).is_empty());
    }

    #[test]
    fn a_panel_of_weekly_waves_has_a_season_of_seven() {
        let series: Vec<Vec<f64>> = (0..5)
            .map(|of| (0..70).map(|step| f64::from((step + of) % 7)).collect())
            .collect();
        assert_eq!(panel_seasons(series.iter().map(Vec::as_slice)), [7]);
    }
}
