/*!
Where the data of a comparison is now: where it was, or where it was moved, which its content shows.
*/

use std::fs::File;

use super::folder::Folder;
use super::plan::Plan;
use crate::checkpoint::data_paths::DataPaths;
use crate::error::{Error, Result};
use crate::files;
use crate::text::source::list_files;

/// Hash of the content of all files, in their order.
///
/// # Errors
/// Files that cannot be read.
pub fn content(data: &DataPaths) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let valid: Vec<_> = data.valid.iter().cloned().collect();
    for file in [list_files(&data.paths)?, list_files(&valid)?].concat() {
        let failed = |e| Error::file("read", &file, e);
        let before = hasher.count();
        let opened = File::open(&file).map_err(failed)?;
        hasher.update_reader(opened).map_err(failed)?;
        let length = hasher.count() - before;
        hasher.update(&length.to_le_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Finds the data of a comparison that was begun. The user may say where it is (`given`).
///
/// # Errors
/// Data that is not found, or has changed.
pub fn find(plan: &Plan, folder: &Folder, given: Option<&DataPaths>) -> Result<DataPaths> {
    let recorded = plan.request.data();
    let place = folder.path().display();
    let is_same = |data: &DataPaths| {
        // A comparison from before there was a hash.
        let Some(hash) = &plan.content else {
            return Ok(data.missing().is_empty());
        };
        content(data).map(|found| found == *hash)
    };
    if let Some(given) = given {
        let data = given.completed(&recorded);
        return match is_same(&data)? {
            true => Ok(data),
            false => Err(Error::new(format!(
                "{} is not the data that the comparison in {place} is made on; give the same files",
                files::names(&data.paths)
            ))),
        };
    }
    if recorded.missing().is_empty() {
        return match is_same(&recorded)? {
            true => Ok(recorded),
            false => Err(Error::new(format!(
                "{} has changed since the comparison in {place} began; restore it, or begin another comparison with -o",
                files::names(&recorded.paths)
            ))),
        };
    }
    let places = recorded.elsewhere(folder.path(), plan.folder.clone());
    let found = places
        .into_iter()
        .find(|data| is_same(data).unwrap_or(false));
    found.ok_or_else(|| {
        let error = Error::new(format!(
            "{} is no longer there, and not found beside {place} either",
            files::names(&recorded.missing())
        ));
        recorded.asked_for_by(&format!("carousel compare --resume {place}"), &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_that_of_the_files_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let data = |files: [(&str, &str); 2]| {
            let paths = files.map(|(name, text)| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            });
            let [text, valid] = paths;
            content(&DataPaths {
                paths: vec![text],
                valid: Some(valid),
            })
            .unwrap()
        };
        let first = data([("a", "one"), ("b", "two")]);
        assert_eq!(data([("c", "one"), ("d", "two")]), first);
        for other in [[("a", "onet"), ("b", "wo")], [("a", "two"), ("b", "one")]] {
            assert_ne!(data(other), first);
        }
    }
}
