/*!
Numbers with as many digits as tables have.
*/

/// Significant digits of the largest number of a table.
pub(super) const DIGITS: i32 = 5;

/// A number with as many digits as tables have.
pub(super) fn significant(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let digits = DIGITS - 1 - number.abs().log10().floor() as i32;
    match digits {
        -5..=9 => format!("{number:.*}", digits.max(0) as usize),
        _ => format!("{number:.4e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits_in_all() {
        for (number, text) in [
            (0.0, "0"),
            (123.456, "123.46"),
            (1_234_567.0, "1234567"),
            (0.001_234_56, "0.0012346"),
            (1.5e30, "1.5000e30"),
            (-2e-20, "-2.0000e-20"),
        ] {
            assert_eq!(significant(number), text);
        }
    }
}
