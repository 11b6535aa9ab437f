/*!
Entries of a comparison: a network by its name, and the flags that train it.
*/

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Short names of variants, with the flags that they stand for.
const SHORT_NAMES: [(&str, &[&str]); 4] = [
    ("autograd", &["--gradients", "autograd"]),
    ("kernels", &["--gradients", "kernels"]),
    ("relu", &["--activation", "relu"]),
    ("tanh", &["--activation", "tanh"]),
];
/// The cell of a training command that has no choice.
const DEFAULT_CELL: &str = "lstm";
/// The variant that is compared by default, besides the cells.
const DEFAULT_VARIANT: (&str, &str) = ("lstm", "lstm:autograd");

/// A network that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name: a cell, and variants after colons.
    pub name: String,
    /// The cell.
    pub cell: String,
    /// The flags of the training command that make it.
    pub flags: Vec<String>,
}

/// What entries can be made of.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Names of cells.
    pub cells: Vec<String>,
    /// Names of what else layers can be made of, which is compared where it is named.
    pub others: Vec<String>,
    /// Flags of the training command, without the dashes; a variant may be any of them.
    pub flags: Vec<String>,
}

impl Known {
    /// Parses a list of entries, separated by commas; without one, every cell, and the LSTM by autograd.
    ///
    /// # Errors
    /// An unknown cell or variant; an entry that is listed twice; an empty list.
    pub fn entries(&self, list: Option<&str>) -> Result<Vec<Entry>> {
        let names = match list {
            Some(list) => list
                .split(',')
                .map(|name| name.trim().to_string())
                .collect(),
            None => self.default_names(),
        };
        let mut entries: Vec<Entry> = Vec::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            if entries.iter().any(|entry| entry.name == *name) {
                return Err(Error::usage(format!(
                    "--cells names {name} twice; for several runs of each, give --seeds"
                )));
            }
            entries.push(self.entry(name)?);
        }
        match entries.is_empty() {
            true => Err(Error::usage(format!(
                "--cells is empty; name some of {}",
                self.cells.join(", ")
            ))),
            false => Ok(entries),
        }
    }

    fn default_names(&self) -> Vec<String> {
        let trained = |cell: &&String| self.has_flag("cell") || *cell == DEFAULT_CELL;
        let (cell, variant) = DEFAULT_VARIANT;
        let has_cell = self.cells.iter().any(|known| known == cell);
        let variant = has_cell.then(|| variant.to_string());
        let cells = self.cells.iter().filter(trained).cloned();
        cells.chain(variant).collect()
    }

    fn entry(&self, name: &str) -> Result<Entry> {
        let mut parts = name.split(':');
        let cell = parts.next().unwrap_or_default();
        let mut known = self.cells.iter().chain(&self.others);
        if !known.any(|known| known == cell) {
            return Err(Error::usage(format!(
                "--cells: there is no cell {cell:?}; the cells are {}, and a variant follows a colon, as in \
                 lstm:autograd",
                [&self.cells[..], &self.others].concat().join(", ")
            )));
        }
        let mut flags = match (self.has_flag("cell"), cell) {
            (true, _) => vec!["--cell".to_string(), cell.to_string()],
            (false, DEFAULT_CELL) => Vec::new(),
            (false, _) => {
                return Err(Error::usage(format!(
                    "--cells: {cell} cannot be trained on these data, {DEFAULT_CELL} alone"
                )));
            }
        };
        for variant in parts {
            flags.extend(self.variant(name, variant)?);
        }
        Ok(Entry {
            name: name.to_string(),
            cell: cell.to_string(),
            flags,
        })
    }

    /// The flags of a variant: those of its short name, or the flag of this name.
    fn variant(&self, entry: &str, variant: &str) -> Result<Vec<String>> {
        let short = SHORT_NAMES.iter().find(|(name, _)| *name == variant);
        if let Some((_, flags)) = short.filter(|(_, flags)| self.has_flag(&flags[0][2..])) {
            return Ok(flags.iter().map(|flag| flag.to_string()).collect());
        }
        let name = variant.split('=').next().unwrap_or_default();
        if self.has_flag(name) {
            return Ok(vec![format!("--{variant}")]);
        }
        let short: Vec<&str> = SHORT_NAMES
            .iter()
            .filter(|(_, flags)| self.has_flag(&flags[0][2..]))
            .map(|(name, _)| *name)
            .collect();
        Err(Error::usage(format!(
            "--cells: {entry} has an unknown variant {variant:?}; variants are {}, and flags of the training command, as \
             in {}:num-layers=2",
            short.join(", "),
            entry.split(':').next().unwrap_or_default()
        )))
    }

    fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|known| known == name)
    }
}

impl Entry {
    /// The name as a part of a folder's name.
    pub fn folder_name(&self) -> String {
        let plain = |c: char| match c {
            c if c.is_alphanumeric() || "._-".contains(c) => c,
            _ => '-',
        };
        self.name.chars().map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let strings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        Known {
            cells: strings(&["rnn", "lstm"]),
            others: strings(&["transformer"]),
            flags: strings(&["cell", "gradients", "layer-norm", "num-layers"]),
        }
    }

    #[test]
    fn entries_are_cells_with_variants() {
        let entries = known()
            .entries(Some(
                "rnn, lstm:autograd,lstm:layer-norm:num-layers=2,transformer",
            ))
            .unwrap();
        let found: Vec<(String, String)> = entries
            .iter()
            .map(|entry| (entry.folder_name(), entry.flags.join(" ")))
            .collect();
        let expected = [
            ("rnn", "--cell rnn"),
            ("lstm-autograd", "--cell lstm --gradients autograd"),
            (
                "lstm-layer-norm-num-layers-2",
                "--cell lstm --layer-norm --num-layers=2",
            ),
            ("transformer", "--cell transformer"),
        ]
        .map(|(name, flags)| (name.to_string(), flags.to_string()));
        assert_eq!(found, expected);
    }

    #[test]
    fn by_default_every_cell_is_compared_and_the_lstm_by_autograd() {
        let entries = known().entries(None).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["rnn", "lstm", "lstm:autograd"]);
    }

    #[test]
    fn unknown_entries_are_refused() {
        let table = [
            ("gru", "the cells are rnn, lstm"),
            ("lstm:fast", "variants are autograd, kernels"),
            ("lstm:relu", "unknown variant \"relu\""),
            ("lstm,lstm", "names lstm twice"),
            (" , ", "--cells is empty"),
        ];
        for (list, message) in table {
            let error = known().entries(Some(list)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
