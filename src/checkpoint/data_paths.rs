/*!
Where the data of a run is now: where it was, or where it was moved, which its content shows.
*/

use std::path::{self, Path, PathBuf};

use super::directory::Directory;
use super::record::{PairLayout, Request, TextRecord};
use crate::data::pairs::Pairs;
use crate::error::{Error, Result};
use crate::files::{self, absolute};
use crate::text::corpus::{CorpusPlan, Validation};
use crate::text::source::list_files;

/// Files and folders of a run's data.
#[derive(Clone, Debug, PartialEq)]
pub struct DataPaths {
    /// The training data.
    pub paths: Vec<PathBuf>,
    /// The validation data, where it is a file.
    pub valid: Option<PathBuf>,
}

/// Data that was not where it was recorded, and what was read to recognise it.
pub struct Found<T> {
    /// Where it is.
    pub data: DataPaths,
    /// What was read.
    pub content: T,
}

impl DataPaths {
    /// The data of a request, where it was recorded.
    pub fn of(request: &Request) -> Self {
        let valid = request.arguments.valid.as_ref();
        DataPaths {
            paths: request.paths.clone(),
            valid: valid
                .filter(|valid| valid.parse::<f64>().is_err())
                .map(PathBuf::from),
        }
    }

    /// Records the data's place in a request.
    ///
    /// # Errors
    /// A name that is not UTF-8.
    pub fn put_into(&self, request: &mut Request) -> Result<()> {
        request.paths = absolute(self.paths.clone())?;
        if let Some(valid) = absolute(self.valid.iter().cloned().collect())?.first() {
            request.arguments.valid = Some(valid.display().to_string());
        }
        Ok(())
    }

    /// The plan of the same corpus in these files.
    ///
    /// # Errors
    /// Files that do not exist.
    pub fn plan(&self, recorded: &CorpusPlan) -> Result<CorpusPlan> {
        let list = |paths: &[PathBuf]| absolute(list_files(paths)?);
        let valid: Vec<PathBuf> = self.valid.iter().cloned().collect();
        Ok(CorpusPlan {
            files: list(&self.paths)?,
            validation: match &recorded.validation {
                Validation::Files(_) => Validation::Files(list(&valid)?),
                fraction => fraction.clone(),
            },
            ..recorded.clone()
        })
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.valid)
    }

    /// The paths where nothing is.
    pub fn missing(&self) -> Vec<PathBuf> {
        self.all().filter(|path| !path.exists()).cloned().collect()
    }

    /// Finds the data of a run: `None` if it is all where it was recorded, else where `has_content` recognises it: where it
    /// would be if it was moved together with the folder, beside the folder, in the current folder, or in the folder itself.
    ///
    /// # Errors
    /// Data that is not found.
    pub fn find<T>(
        directory: &Directory,
        request: &Request,
        has_content: impl Fn(&DataPaths) -> Result<T>,
    ) -> Result<Option<Found<T>>> {
        let recorded = Self::of(request);
        if recorded.missing().is_empty() {
            return Ok(None);
        }
        for data in recorded.elsewhere(directory.path(), directory.recorded_folder()) {
            if let Ok(content) = has_content(&data) {
                return Ok(Some(Found { data, content }));
            }
        }
        Err(Error::new(format!(
            "{} is no longer there, and not found beside {} either",
            files::names(&recorded.missing()),
            directory.path().display()
        )))
    }

    /// The same for a run that is to be resumed. The user may say where the data is (`given`).
    ///
    /// # Errors
    /// Data that is not found, or not that of the run.
    pub fn find_again<T>(
        directory: &Directory,
        request: &Request,
        given: Option<&DataPaths>,
        has_content: impl Fn(&DataPaths) -> Result<T>,
    ) -> Result<Option<Found<T>>> {
        let Some(given) = given else {
            let found = Self::find(directory, request, has_content);
            return found.map_err(|error| Self::of(request).asked_for(directory, &error));
        };
        let data = given.completed(&Self::of(request));
        match has_content(&data) {
            Ok(content) => Ok(Some(Found { data, content })),
            Err(error) => Err(Error::new(format!(
                "this is not the data that the run in {} learns from: {error}",
                directory.path().display()
            ))),
        }
    }

    /// Checks that the data of a run that has not read it yet is where it was recorded, or puts what is `given` in its place.
    ///
    /// # Errors
    /// Data that is not there.
    pub fn check(
        directory: &Directory,
        request: &mut Request,
        given: Option<&DataPaths>,
    ) -> Result<()> {
        if let Some(given) = given {
            return given.completed(&Self::of(request)).put_into(request);
        }
        let recorded = Self::of(request);
        match recorded.missing().is_empty() {
            true => Ok(()),
            false => {
                let missing = files::names(&recorded.missing());
                let error = Error::new(format!("{missing} is no longer there"));
                Err(recorded.asked_for(directory, &error))
            }
        }
    }

    /// These paths, with the validation data of others if none is among them.
    pub fn completed(&self, others: &Self) -> Self {
        DataPaths {
            paths: self.paths.clone(),
            valid: self.valid.clone().or(others.valid.clone()),
        }
    }

    fn asked_for(&self, directory: &Directory, error: &Error) -> Error {
        self.asked_for_by(&directory.resume_command(), error)
    }

    /// The error, with how the command that resumes is told where the data is.
    pub fn asked_for_by(&self, command: &str, error: &Error) -> Error {
        let flag = match self.valid.as_ref().is_some_and(|valid| !valid.exists()) {
            true => " --valid FILE",
            false => "",
        };
        Error::new(format!(
            "{error}; put it back, or say where it is now: `{command} PATH{flag}`"
        ))
    }

    /// Other places of the data that is missing, for a run in a folder that was elsewhere `before`.
    pub fn elsewhere(&self, folder: &Path, before: Option<PathBuf>) -> Vec<DataPaths> {
        let Ok(folder) = path::absolute(folder) else {
            return Vec::new();
        };
        let places = |path: &Path| {
            let name = path.file_name().map(PathBuf::from);
            let beside = folder.parent().zip(name.as_ref());
            [
                before
                    .as_ref()
                    .and_then(|before| moved_together(path, before, &folder)),
                beside.map(|(parent, name)| parent.join(name)),
                name.clone(),
                name.map(|name| folder.join(name)),
            ]
        };
        let find = |path: &PathBuf, place: usize| match path.exists() {
            true => Some(path.clone()),
            false => places(path)[place].clone().filter(|path| path.exists()),
        };
        let all_at = |place: usize| {
            Some(DataPaths {
                paths: self
                    .paths
                    .iter()
                    .map(|path| find(path, place))
                    .collect::<Option<_>>()?,
                valid: match &self.valid {
                    Some(valid) => Some(find(valid, place)?),
                    None => None,
                },
            })
        };
        (0..4).filter_map(all_at).collect()
    }
}

/// Where a file is if it was moved together with a folder: it keeps its place relative to the nearest folder that holds
/// both.
fn moved_together(file: &Path, before: &Path, now: &Path) -> Option<PathBuf> {
    let mut above = before.ancestors().zip(now.ancestors());
    above.find_map(|(before, now)| Some(now.join(file.strip_prefix(before).ok()?)))
}

impl Request {
    /// Reads a translator's pairs: those of training, and those of validation where they have files of their own.
    ///
    /// # Errors
    /// Files that cannot be read, or that do not belong together.
    pub fn read_pairs(&self) -> Result<Vec<Pairs>> {
        match self.pairs.as_ref().unwrap_or(&PairLayout::Lines) {
            PairLayout::Lines => {
                let read = |files: &[PathBuf]| match files {
                    [source, target] => Pairs::of_lines(source, target, self.arguments.lossy),
                    _ => Err(Error::usage("give a file of sources and one of targets")),
                };
                self.paths.chunks(2).map(read).collect()
            }
            PairLayout::Table(options) => {
                let mut parts = vec![Pairs::of_tables(&self.paths, options)?];
                if let Validation::Files(files) = self.arguments.validation()? {
                    parts.push(Pairs::of_tables(&files, options)?);
                }
                Ok(parts)
            }
        }
    }
}

impl TextRecord {
    /// The corpus, where it is now.
    ///
    /// # Errors
    /// A corpus that is not found, or has changed.
    pub fn find_corpus(&self, directory: &Directory, request: &Request) -> Result<CorpusPlan> {
        let found = DataPaths::find(directory, request, |data| self.corpus_at(data))?;
        match found {
            Some(found) => Ok(found.content),
            None => {
                let corpus = self.corpus.clone();
                let unchanged = corpus.check_unchanged(&self.statistics.hash);
                unchanged.map(|()| corpus)
            }
        }
    }

    /// The plan of the corpus in other files, which have its content.
    ///
    /// # Errors
    /// Files that cannot be read, or have another content.
    pub fn corpus_at(&self, data: &DataPaths) -> Result<CorpusPlan> {
        let plan = data.plan(&self.corpus)?;
        match plan.check_unchanged(&self.statistics.hash) {
            Ok(()) => Ok(plan),
            Err(_) => Err(Error::new(format!(
                "{} cannot be read, or has another content",
                files::names(&plan.files)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_together_keeps_its_place() {
        let table = [
            ("/a/b/data/text", Some("/new/data/text")),
            ("/a/b/model/text", Some("/new/model/text")),
            ("/a/text", Some("/text")),
            ("text", None),
        ];
        for (file, expected) in table {
            let found = moved_together(
                Path::new(file),
                Path::new("/a/b/model"),
                Path::new("/new/model"),
            );
            assert_eq!(found.as_deref(), expected.map(Path::new), "{file}");
        }
    }
}
