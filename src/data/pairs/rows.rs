/*!
Which columns of a table, or keys of an object, hold the sources and the targets.
*/

use super::pair::PairOptions;
use crate::error::{Error, Result};

/// Usual names of columns of sources.
const SOURCE_NAMES: [&str; 6] = ["source", "src", "source_text", "input", "from", "original"];
/// Usual names of columns of targets.
const TARGET_NAMES: [&str; 7] = [
    "target",
    "tgt",
    "trg",
    "target_text",
    "translation",
    "output",
    "to",
];
/// Names of languages as they stand over columns: a header of which two columns have such names.
const LANGUAGES: [&str; 44] = [
    "ar",
    "cs",
    "da",
    "de",
    "el",
    "en",
    "es",
    "fi",
    "fr",
    "hu",
    "it",
    "ja",
    "ko",
    "nl",
    "no",
    "pl",
    "pt",
    "ro",
    "ru",
    "sv",
    "tr",
    "uk",
    "zh",
    "arabic",
    "chinese",
    "czech",
    "danish",
    "deutsch",
    "dutch",
    "english",
    "finnish",
    "french",
    "français",
    "german",
    "greek",
    "italian",
    "japanese",
    "korean",
    "polish",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
];

/// The positions of the source and of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub source: usize,
    pub target: usize,
}

/// Whether columns with these names, in lower case, have a header: if a name is asked for, or usual.
pub(super) fn is_header(names: &[String], options: &PairOptions) -> bool {
    let asked = [&options.source_column, &options.target_column];
    let asks = |name: &String| {
        asked
            .iter()
            .any(|column| plain(column).as_ref() == Some(name))
    };
    let usual = |name: &String| {
        SOURCE_NAMES.contains(&&name[..])
            || TARGET_NAMES.contains(&&name[..])
            || LANGUAGES.contains(&&name[..])
    };
    names.iter().any(asks) || names.iter().filter(|name| usual(name)).count() >= 2
}

/// A column that is asked for, as names are compared.
fn plain(column: &Option<String>) -> Option<String> {
    Some(column.as_ref()?.trim().to_lowercase())
}

impl Sides {
    /// The sides among columns of these names, in lower case; without a header these are empty. What is not asked for is found
    /// by usual names, and else are the first columns. `kind` is `column` or `key`.
    ///
    /// # Errors
    /// A column that is asked for and not there, or asked for twice; a single column.
    pub fn find(names: &[String], options: &PairOptions, kind: &str, file: &str) -> Result<Self> {
        let position = |column: &Option<String>, option: &str| match plain(column) {
            None => Ok(None),
            Some(name) => {
                let number = || name.parse::<usize>().ok()?.checked_sub(1);
                let by_name = names.iter().position(|other| *other == name);
                let found = by_name.or_else(|| number().filter(|at| *at < names.len()));
                let missing = || {
                    Error::new(format!(
                        "{file} has no {kind} “{name}”, which {option} asks for; {}",
                        listed(names, kind)
                    ))
                };
                found.map(Some).ok_or_else(missing)
            }
        };
        let source = position(&options.source_column, "--source-column")?;
        let target = position(&options.target_column, "--target-column")?;
        if source.is_some() && source == target {
            return Err(Error::new(format!(
                "--source-column and --target-column are the same {kind} of {file}; give two"
            )));
        }
        let usual = |all: &[&str], other: Option<usize>| {
            let is_free = |at: &usize| Some(*at) != other;
            let find = |name: &&str| names.iter().position(|own| own == name);
            all.iter().filter_map(find).find(is_free)
        };
        let first = |other: Option<usize>| (0..names.len()).find(|at| Some(*at) != other);
        let source = source.or_else(|| usual(&SOURCE_NAMES, target));
        let target = target.or_else(|| usual(&TARGET_NAMES, source));
        let source = source.or_else(|| first(target));
        let target = target.or_else(|| first(source));
        match (source, target) {
            (Some(source), Some(target)) => Ok(Sides { source, target }),
            _ => Err(Error::new(format!(
                "{file} has one {kind}, and pairs have two, a source and a target; two files line by line are given with \
                 --source and --target"
            ))),
        }
    }
}

fn listed(names: &[String], kind: &str) -> String {
    match names.iter().all(String::is_empty) {
        true => format!(
            "it has {} {kind}s without names, give a number",
            names.len()
        ),
        false => format!("its {kind}s are “{}”", names.join("”, “")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| name.to_string()).collect()
    }

    fn find(all: &[&str], source: Option<&str>, target: Option<&str>) -> Result<(usize, usize)> {
        let options = PairOptions {
            source_column: source.map(str::to_string),
            target_column: target.map(str::to_string),
            ..PairOptions::default()
        };
        let sides = Sides::find(&names(all), &options, "column", "x")?;
        Ok((sides.source, sides.target))
    }

    #[test]
    fn sides_are_found_by_request_by_name_and_by_place() {
        for (all, source, target, expected) in [
            (&["en", "fr"][..], None, None, (0, 1)),
            (&["id", "target", "source"], None, None, (2, 1)),
            (&["en", "fr", "credit"], Some("fr"), Some("EN"), (1, 0)),
            (&["", "", ""], Some("3"), None, (2, 0)),
            (&["en", "de", "fr"], None, Some("fr"), (0, 2)),
        ] {
            assert_eq!(find(all, source, target).unwrap(), expected, "{all:?}");
        }
        for (all, source, target, message) in [
            (
                &["en", "fr"][..],
                Some("de"),
                None,
                "its columns are “en”, “fr”",
            ),
            (&["", ""], Some("3"), None, "give a number"),
            (&["en", "fr"], Some("fr"), Some("2"), "the same column"),
            (&["text"], None, None, "x has one column"),
        ] {
            let found = find(all, source, target).unwrap_err().to_string();
            assert!(found.contains(message), "{found}");
        }
    }

    #[test]
    fn a_header_has_usual_names_or_one_that_is_asked_for() {
        let options = PairOptions::default();
        assert!(is_header(&names(&["source", "target"]), &options));
        assert!(is_header(&names(&["en", "fr", "note"]), &options));
        assert!(!is_header(&names(&["go.", "va !"]), &options));
        assert!(!is_header(&names(&["to", "à"]), &options));
        let asked = PairOptions {
            source_column: Some("Satz".to_string()),
            ..options
        };
        assert!(is_header(&names(&["satz", "phrase"]), &asked));
    }
}
