/*!
Series of the tests, made by formulas that the scripts of other libraries repeat.
*/

/// Noise of variance 1: sums of four numbers of a linear congruential generator.
pub(super) fn noise(count: usize, seed: u32) -> Vec<f64> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        f64::from(state) / 4294967296.0
    };
    (0..count)
        .map(|_| ((0..4).map(|_| uniform()).sum::<f64>() - 2.0) * 3f64.sqrt())
        .collect()
}

/// ARMA(1,1) with coefficients 0.6 and 0.4.
pub(super) fn mixed(count: usize) -> Vec<f64> {
    let (mut value, mut before) = (0.0, 0.0);
    let noise = noise(count, 1).into_iter();
    noise
        .map(|innovation| {
            value = 0.6 * value + innovation + 0.4 * before;
            before = innovation;
            value
        })
        .collect()
}

/// A trend, a season of 12 that grows, and the mixed process, 130 values.
pub(super) fn seasonal() -> Vec<f64> {
    let steps = mixed(130).into_iter().enumerate();
    steps
        .map(|(step, value)| {
            let step = step as f64;
            let wave = (std::f64::consts::TAU * step / 12.0).sin();
            10.0 + 0.05 * step + 2.0 * wave * (1.0 + step / 130.0) + 0.7 * value
        })
        .collect()
}
