/*!
Cholesky factors of small symmetric matrices, stored row by row.
*/

/// Replacement of the lower triangle of a positive semidefinite matrix by its Cholesky factor, and of the upper by zeros.
/// Columns whose pivot is nothing but rounding become zero. False if a number is not finite.
pub(in super::super) fn factorize(matrix: &mut [f64], size: usize) -> bool {
    for row in 0..size {
        let (above, current) = matrix.split_at_mut(row * size);
        let current = &mut current[..size];
        for column in 0..row {
            let other = &above[column * size..][..=column];
            let pivot = other[column];
            let sum = dot(&current[..column], &other[..column]);
            current[column] = match pivot > 0.0 {
                true => (current[column] - sum) / pivot,
                false => 0.0,
            };
        }
        let diagonal = current[row];
        let pivot = diagonal - dot(&current[..row], &current[..row]);
        if !pivot.is_finite() {
            return false;
        }
        current[row] = match pivot > ROUNDING * diagonal {
            true => pivot.sqrt(),
            false => 0.0,
        };
        current[row + 1..].fill(0.0);
    }
    true
}

/// Part of a diagonal element that is left by rounding where nothing should be left.
const ROUNDING: f64 = 1e-14;

/// Replacement of `vector` by the solution of L x = vector; 0 where the factor has a zero column.
pub(in super::super) fn solve_lower(factor: &[f64], size: usize, vector: &mut [f64]) {
    for row in 0..size {
        let line = &factor[row * size..][..=row];
        let sum = dot(&line[..row], &vector[..row]);
        vector[row] = match line[row] > 0.0 {
            true => (vector[row] - sum) / line[row],
            false => 0.0,
        };
    }
}

/// Replacement of `vector` by the solution of Lᵀ x = vector; 0 where the factor has a zero column.
pub(in super::super) fn solve_upper(factor: &[f64], size: usize, vector: &mut [f64]) {
    for row in (0..size).rev() {
        let line = &factor[row * size..][..=row];
        let value = match line[row] > 0.0 {
            true => vector[row] / line[row],
            false => 0.0,
        };
        vector[row] = value;
        for (element, weight) in vector[..row].iter_mut().zip(line) {
            *element -= value * weight;
        }
    }
}

/// Sum of products, in four independent sums that the processor adds side by side.
pub(in super::super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The factor of [[4, 2], [2, 5]] is [[2, 0], [1, 2]]; the solution of A x = (8, 14) is (3/4, 5/2).
    #[test]
    fn a_matrix_is_factorized_and_solved() {
        let mut matrix = [4.0, 2.0, 2.0, 5.0];
        assert!(factorize(&mut matrix, 2));
        assert_eq!(matrix, [2.0, 0.0, 1.0, 2.0]);
        let mut vector = [8.0, 14.0];
        solve_lower(&matrix, 2, &mut vector);
        solve_upper(&matrix, 2, &mut vector);
        assert_eq!(vector, [0.75, 2.5]);
    }

    #[test]
    fn a_column_that_repeats_another_counts_for_nothing() {
        let mut matrix = [1.0, 1.0, 1.0, 1.0];
        assert!(factorize(&mut matrix, 2));
        let mut vector = [3.0, 3.0];
        solve_lower(&matrix, 2, &mut vector);
        solve_upper(&matrix, 2, &mut vector);
        assert_eq!(vector, [3.0, 0.0]);
        assert!(!factorize(&mut [f64::NAN], 1));
    }

    #[test]
    fn products_are_summed_whatever_their_number() {
        let a: Vec<f64> = (0..11).map(f64::from).collect();
        for count in 0..a.len() {
            let expected: f64 = a[..count].iter().map(|x| x * x).sum();
            assert_eq!(dot(&a[..count], &a[..count]), expected);
        }
    }
}
