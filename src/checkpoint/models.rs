/*!
Models by name: the folders that are searched, what lies in them, and the nearest name to one that is not there.
*/

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use crate::error::{Error, Result};
use crate::files;

/// Least similarity of a name that is offered for a mistyped one (Jaro and Winkler's, from 0 to 1).
const SIMILAR: f64 = 0.75;

/// The models of the folders that are searched, in the order in which they are found; of equal names the first alone.
pub fn all() -> Vec<Directory> {
    let mut models: Vec<Directory> = Vec::new();
    for folder in folders(env::current_exe().ok().as_deref()) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let model = Directory::at(path);
            let is_new = models.iter().all(|other| other.name() != model.name());
            if is_new && model.holds_checkpoint() {
                models.push(model);
            }
        }
    }
    models
}

/// Finds a model by its folder, or by its name.
///
/// # Errors
/// If there is no such model; the message has the nearest name, and all of them.
pub fn find(model: &Path) -> Result<Directory> {
    match model.is_dir() {
        true => Directory::at(model).existing(),
        false => named(model),
    }
}

fn named(name: &Path) -> Result<Directory> {
    let folders = folders(env::current_exe().ok().as_deref());
    let found = folders
        .iter()
        .map(|folder| Directory::at(folder.join(name)));
    if let Some(found) = found.into_iter().find(Directory::holds_checkpoint) {
        return Ok(found);
    }
    let name = name.display().to_string();
    let names: Vec<String> = all().iter().map(Directory::name).collect();
    let meant = nearest(&name, &names)
        .map(|nearest| format!("did you mean {nearest}? "))
        .unwrap_or_default();
    let known = match names.is_empty() {
        true => {
            let searched: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
            format!("and no model is in {}", searched.join(", "))
        }
        false => format!("and the models with names are {}", names.join(", ")),
    };
    Err(Error::new(format!(
        "there is no model {name}: it is not a folder, {known}; {meant}`carousel train CORPUS -o {name}` makes one"
    )))
}

/// The most similar of some names, if it is similar enough.
fn nearest<'n>(name: &str, names: &'n [String]) -> Option<&'n String> {
    let similarity = |other: &String| strsim::jaro_winkler(name, other);
    let best = names
        .iter()
        .max_by(|one, other| similarity(one).total_cmp(&similarity(other)));
    best.filter(|best| similarity(best) >= SIMILAR)
}

/// Folders that are searched for a model's name, for a program at this path.
fn folders(program: Option<&Path>) -> Vec<PathBuf> {
    let named = env::var_os("CAROUSEL_MODELS").map(PathBuf::from);
    let above = |levels: usize| program?.ancestors().nth(levels);
    let beside = above(2).map(|folder| folder.join("share/carousel"));
    // A program that was built in a clone may be run from elsewhere.
    let built = above(2)
        .filter(|folder| folder.file_name() == Some(OsStr::new("target")))
        .and(above(3))
        .map(|folder| folder.join("checkpoints"));
    let data = files::data_folder();
    named
        .into_iter()
        .chain([PathBuf::from("checkpoints")])
        .chain(beside)
        .chain(built)
        .chain(data)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_searched_beside_the_program_and_in_its_clone() {
        let searches = |program: &str, folder: &str| {
            let folders = folders(Some(Path::new(program)));
            folders.contains(&PathBuf::from(folder))
        };
        assert!(searches(
            "/clone/target/release/carousel",
            "/clone/checkpoints"
        ));
        assert!(searches("/some/bin/carousel", "/some/share/carousel"));
        assert!(!searches("/some/user/bin/carousel", "/some/checkpoints"));
    }

    #[test]
    fn the_nearest_name_is_offered_if_it_is_near() {
        let names = ["reviews".to_string(), "sentiment".to_string()];
        let nearest = |name| nearest(name, &names).map(String::as_str);
        assert_eq!(nearest("sentimant"), Some("sentiment"));
        assert_eq!(nearest("review"), Some("reviews"));
        assert_eq!(nearest("poems"), None);
    }
}
