/*!
The flag that says how frequent labels are where a classifier is used.
*/

use std::str::FromStr;

pub use crate::answers::prior::{Prior, PriorChoice};

impl FromStr for PriorChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "estimate" => return Ok(PriorChoice::Estimate),
            "uniform" => return Ok(PriorChoice::Uniform),
            _ => {}
        }
        let share = |part: &str| {
            let (label, share) = part.rsplit_once('=')?;
            let share = share.trim().parse::<f64>().ok()?;
            (share.is_finite() && share >= 0.0).then(|| (label.trim().to_string(), share))
        };
        let shares: Option<Vec<_>> = text.split(',').map(share).collect();
        let message =
            "give estimate, uniform, or a share of each label, as in negative=0.2,positive=0.8";
        shares
            .filter(|shares| shares.iter().any(|(_, share)| *share > 0.0))
            .map(PriorChoice::Shares)
            .ok_or_else(|| message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_words_or_a_list() {
        let parse = |text: &str| text.parse::<PriorChoice>();
        assert_eq!(parse("estimate"), Ok(PriorChoice::Estimate));
        assert_eq!(parse("uniform"), Ok(PriorChoice::Uniform));
        let list = [("a=b".to_string(), 1.0), ("c".to_string(), 3.0)];
        assert_eq!(parse("a=b=1, c=3"), Ok(PriorChoice::Shares(list.to_vec())));
        for wrong in ["", "a", "a=x", "a=-1", "a=nan", "a=0,b=0", "a=1,,b=2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
