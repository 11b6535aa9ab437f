/*!
Adam in float64, for convex functions of a few parameters.
*/

/// Number of steps.
const STEPS: usize = 400;
/// Learning rate of the first step; it falls linearly to 0.
const LEARNING_RATE: f64 = 0.05;

/// Minimises a convex function by Adam (Kingma and Ba 2015), given its `gradients`. `parameters` are the starting point and
/// become the minimum; `project` moves them back into their bounds after each step.
pub fn minimise(
    parameters: &mut [f64],
    gradients: impl Fn(&[f64]) -> Vec<f64>,
    project: impl Fn(&mut [f64]),
) {
    let mut first = vec![0.0; parameters.len()];
    let mut second = vec![0.0; parameters.len()];
    for step in 1..=STEPS {
        let rate = LEARNING_RATE * (1.0 - (step - 1) as f64 / STEPS as f64);
        for (index, gradient) in gradients(parameters).into_iter().enumerate() {
            first[index] = 0.9 * first[index] + 0.1 * gradient;
            second[index] = 0.99 * second[index] + 0.01 * gradient * gradient;
            let mean = first[index] / (1.0 - 0.9f64.powi(step as i32));
            let deviation = (second[index] / (1.0 - 0.99f64.powi(step as i32))).sqrt() + 1e-12;
            parameters[index] -= rate * mean / deviation;
        }
        project(parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_within_the_bounds() {
        let (minimum, curvatures) = ([3.0, -2.0, 0.5], [1.0, 100.0, 0.01]);
        let gradients = |parameters: &[f64]| {
            let all = parameters.iter().zip(minimum).zip(curvatures);
            all.map(|((parameter, minimum), curvature)| curvature * (parameter - minimum))
                .collect()
        };
        let mut parameters = [0.0; 3];
        minimise(&mut parameters, gradients, |parameters| {
            parameters[1] = parameters[1].max(-1.0);
        });
        for (found, expected) in parameters.iter().zip([3.0, -1.0, 0.5]) {
            assert!((found - expected).abs() < 0.01, "{parameters:?}");
        }
    }
}
