/*!
Forms of exponential smoothing: how error, trend and season enter.
*/

use std::fmt;

use serde::{Deserialize, Serialize};

/// How errors enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// Added to what was expected: of one size at every level.
    Additive,
    /// In proportion to what was expected.
    Multiplicative,
}

/// How the level moves on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrendKind {
    /// It stays.
    None,
    /// By a slope.
    Additive,
    /// By a slope that shrinks at every step.
    Damped,
}

/// How a season enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeasonKind {
    /// Not at all.
    None,
    /// Added to the level.
    Additive,
    /// Multiplied with the level.
    Multiplicative,
}

/// A form of exponential smoothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtsForm {
    /// How errors enter.
    pub error: ErrorKind,
    /// How the level moves on by itself.
    pub trend: TrendKind,
    /// How a season enters.
    pub season: SeasonKind,
}

impl EtsForm {
    /// Simple exponential smoothing.
    pub const SIMPLE: Self = Self::new(ErrorKind::Additive, TrendKind::None, SeasonKind::None);
    /// Holt's linear trend.
    pub const HOLT: Self = Self::new(ErrorKind::Additive, TrendKind::Additive, SeasonKind::None);
    /// Holt and Winters' additive season.
    pub const HOLT_WINTERS_ADDITIVE: Self = Self::new(
        ErrorKind::Additive,
        TrendKind::Additive,
        SeasonKind::Additive,
    );
    /// Holt and Winters' multiplicative season, with multiplicative errors.
    pub const HOLT_WINTERS_MULTIPLICATIVE: Self = Self::new(
        ErrorKind::Multiplicative,
        TrendKind::Additive,
        SeasonKind::Multiplicative,
    );

    /// Form of these kinds.
    pub const fn new(error: ErrorKind, trend: TrendKind, season: SeasonKind) -> Self {
        EtsForm {
            error,
            trend,
            season,
        }
    }

    /// The forms to choose among, as the R package forecast restricts them: all but additive errors with a
    /// multiplicative season, whose variance is infinite where a value comes near 0. Those with a season only if there
    /// is one.
    pub fn sensible(seasonal: bool) -> Vec<Self> {
        let mut forms = Vec::new();
        for season in [
            SeasonKind::None,
            SeasonKind::Additive,
            SeasonKind::Multiplicative,
        ] {
            for trend in [TrendKind::None, TrendKind::Additive, TrendKind::Damped] {
                for error in [ErrorKind::Additive, ErrorKind::Multiplicative] {
                    let unstable =
                        error == ErrorKind::Additive && season == SeasonKind::Multiplicative;
                    if !unstable && (seasonal || season == SeasonKind::None) {
                        forms.push(EtsForm::new(error, trend, season));
                    }
                }
            }
        }
        forms
    }

    /// Whether the form has a meaning only where all values are above 0.
    pub fn needs_positive(&self) -> bool {
        self.error == ErrorKind::Multiplicative || self.season == SeasonKind::Multiplicative
    }

    /// Whether the form has a season.
    pub fn is_seasonal(&self) -> bool {
        self.season != SeasonKind::None
    }

    /// Whether the form has a slope.
    pub fn has_trend(&self) -> bool {
        self.trend != TrendKind::None
    }
}

impl fmt::Display for EtsForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self.error {
            ErrorKind::Additive => "A",
            ErrorKind::Multiplicative => "M",
        };
        let trend = match self.trend {
            TrendKind::None => "N",
            TrendKind::Additive => "A",
            TrendKind::Damped => "Ad",
        };
        let season = match self.season {
            SeasonKind::None => "N",
            SeasonKind::Additive => "A",
            SeasonKind::Multiplicative => "M",
        };
        write!(f, "ETS({error},{trend},{season})")
    }
}
