/*!
A fitted seasonal ARIMA: its parameters.
*/

use serde::{Deserialize, Serialize};

use super::super::fourier::Fourier;
use super::coefficients::Coefficients;
use super::orders::Orders;

/// Seasonal ARIMA: a regression whose errors, differenced d and D times, are an ARMA process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arima {
    /// Orders of the process.
    pub orders: Orders,
    /// Coefficients of the process.
    pub coefficients: Coefficients,
    /// Constant, if there is one: the mean of the series, or what it grows by in a step where it is differenced once.
    pub constant: Option<f64>,
    /// Waves of a season that is too long for the orders, if there are any; counted from the first value of a history.
    pub fourier: Option<Fourier>,
    /// Coefficients of the regressors, in their order, and after them of the waves.
    pub regression: Vec<f64>,
    /// Standard deviation of the innovations, with the estimated coefficients taken from the degrees of freedom.
    pub sigma: f64,
    /// Logarithm of the likelihood of the differenced series.
    pub log_likelihood: f64,
    /// Akaike's information criterion, corrected for the number of differences (Hurvich and Tsai 1989).
    pub aicc: f64,
}

impl Arima {
    /// Name with the orders, as "ARIMA(0,1,1)(0,1,1)[12] with drift".
    pub fn name(&self) -> String {
        let constant = match self.constant {
            Some(_) => self.orders.constant_name(),
            None => "",
        };
        let waves = self.fourier.map_or(0, |fourier| fourier.len());
        let regressors = match self.regression.len().saturating_sub(waves) {
            0 => None,
            1 => Some("1 regressor".to_string()),
            count => Some(format!("{count} regressors")),
        };
        let mut name = format!("{}{constant}", self.orders);
        let waves = self.fourier.map(|fourier| fourier.to_string());
        for part in regressors.into_iter().chain(waves) {
            let joint = if name.contains(" with ") {
                "and"
            } else {
                "with"
            };
            name += &format!(" {joint} {part}");
        }
        name
    }

    /// The columns, if the model has regressors: a model of the series alone among others that have takes none.
    pub fn own_columns<'a>(&self, columns: &'a [Vec<f64>]) -> &'a [Vec<f64>] {
        match self.regression.len() == self.fourier.map_or(0, |fourier| fourier.len()) {
            true => &[],
            false => columns,
        }
    }

    /// Variance of the innovations.
    pub fn sigma2(&self) -> f64 {
        self.sigma * self.sigma
    }

    /// Number of estimated parameters, the variance among them.
    pub fn parameters(&self) -> usize {
        let constant = usize::from(self.constant.is_some());
        self.orders.coefficients() + constant + self.regression.len() + 1
    }
}
