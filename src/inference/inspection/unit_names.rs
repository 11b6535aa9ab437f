/*!
Units of a network as users name them: `UNIT` of the last layer, or `LAYER:UNIT`.
*/

use super::units::Unit;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::Recurrent;
use crate::checkpoint::parts::Body;
use crate::error::{Error, Result};
use crate::inference::stack::Clamp;

/// The unit with this name.
///
/// # Errors
/// No number, or no such layer or unit.
pub fn unit(name: &str, recurrent: &Recurrent) -> Result<Unit> {
    let (layer, number) = match name.split_once(':') {
        Some((layer, number)) => (layer.trim().parse(), number.trim().parse()),
        None => (Ok(recurrent.num_layers - 1), name.trim().parse()),
    };
    let (Ok(layer), Ok(number)) = (layer, number) else {
        return Err(Error::usage(format!(
            "{name:?} is no unit; give its number, such as 7, or LAYER:UNIT, such as 0:7, both counted from 0"
        )));
    };
    if layer >= recurrent.num_layers || number >= recurrent.hidden_size {
        return Err(Error::usage(format!(
            "there is no unit {name}: the network has {}, each with units 0 to {}",
            match recurrent.num_layers {
                1 => "one layer, 0".to_string(),
                layers => format!("the layers 0 to {}", layers - 1),
            },
            recurrent.hidden_size - 1
        )));
    }
    Ok(Unit {
        layer,
        unit: number,
    })
}

/// The recurrent layers of a model, for an option that looks into them.
///
/// # Errors
/// A model that has none.
pub fn recurrent_of<'c>(config: &'c ModelConfig, option: &str) -> Result<&'c Recurrent> {
    let has_none = match &config.body {
        Body::Recurrent(recurrent) => return Ok(recurrent),
        Body::Transformer(_) => {
            "a transformer has no units whose state goes on from token to token"
        }
        Body::Ngram(_) => "n-grams have no units",
        Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_) => {
            "this model is a translator"
        }
    };
    Err(Error::usage(format!(
        "{option} is for a recurrent network; {has_none}"
    )))
}

/// The units and values of `--clamp`, of a model.
///
/// # Errors
/// As [`unit`], a value that is no finite number, or a model without units.
pub fn clamps(asked: &[String], config: &ModelConfig) -> Result<Vec<Clamp>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let recurrent = recurrent_of(config, "--clamp")?;
    asked.iter().map(|asked| clamp(asked, recurrent)).collect()
}

/// One unit with its value.
fn clamp(asked: &str, recurrent: &Recurrent) -> Result<Clamp> {
    let (name, value) = asked.split_once('=').ok_or_else(|| {
        Error::usage(format!(
            "--clamp {asked} has no value; give UNIT=VALUE, such as 7=1"
        ))
    })?;
    let found = unit(name, recurrent)?;
    let value = value
        .trim()
        .parse()
        .ok()
        .filter(|value: &f32| value.is_finite());
    let value = value.ok_or_else(|| {
        Error::usage(format!(
            "--clamp {asked}: the value is no finite number; give one such as 0.9"
        ))
    })?;
    Ok(Clamp {
        layer: found.layer,
        unit: found.unit,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel_kernels::recurrent::Cell;

    #[test]
    fn units_are_named_by_layer_and_number() {
        let network = Recurrent::new(Cell::Lstm, 20, 2);
        let table = [
            ("7", Some((1, 7))),
            ("0:19", Some((0, 19))),
            ("20", None),
            ("2:0", None),
            ("-1", None),
            ("a:3", None),
            ("", None),
            ("1:", None),
        ];
        for (name, expected) in table {
            let found = unit(name, &network).ok();
            assert_eq!(
                found.map(|found| (found.layer, found.unit)),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn clamps_have_a_finite_value() {
        let network = Recurrent::new(Cell::Lstm, 20, 2);
        let found = clamp("0:3=-1.5", &network).unwrap();
        assert_eq!(
            found,
            Clamp {
                layer: 0,
                unit: 3,
                value: -1.5
            }
        );
        for wrong in ["3", "3=", "3=nan", "3=inf", "99=1", "=1"] {
            assert!(clamp(wrong, &network).is_err(), "{wrong}");
        }
    }
}
