/*!
Moving averages.
*/

/// Steps after which a running sum is taken anew, so that rounding errors do not add up.
const RENEWAL: usize = 1024;

/// Means of every `length` neighbours: `values.len() + 1 − length` of them, none if there are fewer values.
pub fn moving_average(values: &[f64], length: usize) -> Vec<f64> {
    if length == 0 || values.len() < length {
        return Vec::new();
    }
    let count = values.len() + 1 - length;
    let mut averages = Vec::with_capacity(count);
    let mut sum = 0.0;
    for index in 0..count {
        match index % RENEWAL {
            0 => sum = values[index..index + length].iter().sum(),
            _ => sum += values[index + length - 1] - values[index - 1],
        }
        averages.push(sum / length as f64);
    }
    averages
}

/// The mean of a season around each value, in which the ends of an even season count half; NaN for the first and the
/// last half season.
pub fn centred_average(values: &[f64], season: usize) -> Vec<f64> {
    let mut means = moving_average(values, season);
    if season.is_multiple_of(2) {
        means = moving_average(&means, 2);
    }
    let mut centred = vec![f64::NAN; values.len()];
    for (place, mean) in centred.iter_mut().skip(season / 2).zip(means) {
        *place = mean;
    }
    centred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_own_average() {
        let line: Vec<f64> = (0..3000).map(|index| index as f64).collect();
        for season in [2, 3, 12] {
            let average = centred_average(&line, season);
            let half = season / 2;
            assert!(average[half - 1].is_nan() && average[3000 - half].is_nan());
            let inner = average.iter().zip(&line).skip(half).take(3000 - 2 * half);
            assert!(
                inner
                    .into_iter()
                    .all(|(average, value)| (average - value).abs() < 1e-9)
            );
        }
        assert!(moving_average(&line[..2], 3).is_empty());
    }
}
