/*!
Finding a handful of numbers by which something convex is least.
*/

/// Steps, and how far the first ones go.
const STEPS: usize = 400;
const RATE: f64 = 0.05;

/// Takes numbers to where their gradients vanish, by Adam's descent (Kingma and Ba 2015) with steps that become shorter.
/// `bound` puts back those that have left where they may be.
pub fn descend(
    numbers: &mut [f64],
    gradients: impl Fn(&[f64]) -> Vec<f64>,
    bound: impl Fn(&mut [f64]),
) {
    let (mut first, mut second) = (vec![0.0; numbers.len()], vec![0.0; numbers.len()]);
    for step in 1..=STEPS {
        let rate = RATE * (1.0 - (step - 1) as f64 / STEPS as f64);
        for (index, gradient) in gradients(numbers).into_iter().enumerate() {
            first[index] = 0.9 * first[index] + 0.1 * gradient;
            second[index] = 0.99 * second[index] + 0.01 * gradient * gradient;
            let mean = first[index] / (1.0 - 0.9f64.powi(step as i32));
            let spread = (second[index] / (1.0 - 0.99f64.powi(step as i32))).sqrt() + 1e-12;
            numbers[index] -= rate * mean / spread;
        }
        bound(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_found_within_bounds() {
        let (wanted, slopes) = ([3.0, -2.0, 0.5], [1.0, 100.0, 0.01]);
        let gradients = |numbers: &[f64]| {
            let all = numbers.iter().zip(wanted).zip(slopes);
            all.map(|((number, wanted), slope)| slope * (number - wanted))
                .collect()
        };
        let mut numbers = [0.0; 3];
        descend(&mut numbers, gradients, |numbers| {
            numbers[1] = numbers[1].max(-1.0);
        });
        for (found, wanted) in numbers.iter().zip([3.0, -1.0, 0.5]) {
            assert!((found - wanted).abs() < 0.01, "{numbers:?}");
        }
    }
}
