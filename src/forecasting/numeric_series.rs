/*!
A series with the columns beside it.
*/

use crate::error::{Error, Result};

/// A series to forecast, with other columns of the same steps. NaN is a value that is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumericSeries {
    /// Its name, by which it is found in a panel.
    pub id: String,
    /// Its values.
    pub values: Vec<f64>,
    /// Columns of which the past is known, as long as the values.
    pub others: Vec<Vec<f64>>,
    /// Columns that are known ahead, such as those of a calendar: as long as the values, or longer. What is missing of them
    /// counts as their mean.
    pub known: Vec<Vec<f64>>,
}

impl NumericSeries {
    /// A series of values alone.
    pub fn of_values(id: impl Into<String>, values: Vec<f64>) -> Self {
        NumericSeries {
            id: id.into(),
            values,
            ..NumericSeries::default()
        }
    }

    /// The first `count` steps; of what is known ahead, all.
    pub fn until(&self, count: usize) -> Self {
        let first = |values: &Vec<f64>| values[..count.min(values.len())].to_vec();
        NumericSeries {
            id: self.id.clone(),
            values: first(&self.values),
            others: self.others.iter().map(first).collect(),
            known: self.known.clone(),
        }
    }

    /// Checks that the columns belong together, and that there is something to learn from.
    ///
    /// # Errors
    /// Another length of a column; fewer than three values that are known; infinite values.
    pub fn check(&self) -> Result<()> {
        let count = self.values.len();
        if let Some(other) = self.others.iter().find(|other| other.len() != count) {
            return Err(Error::new(format!(
                "series {} has {count} values, but a column beside it {}",
                self.id,
                other.len()
            )));
        }
        let all = || self.others.iter().chain(&self.known).chain([&self.values]);
        if all().flatten().any(|value| value.is_infinite()) {
            return Err(Error::new(format!(
                "series {} has infinite values; leave them empty if they are not known",
                self.id
            )));
        }
        match self.values.iter().filter(|value| !value.is_nan()).count() {
            3.. => Ok(()),
            known => Err(Error::new(format!(
                "series {} has {known} values, and a network needs three or more",
                self.id
            ))),
        }
    }
}
