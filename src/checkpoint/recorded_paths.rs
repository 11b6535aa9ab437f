/*!
The paths in training.json. Those of files in its folder are relative, so that the folder can be renamed and moved; all
others are absolute.
*/

use std::path::{self, Path, PathBuf};

use serde_json::Value;

/// Where there are paths: a string, or a list of them.
const PATHS: [&str; 6] = [
    "/request/paths",
    "/request/settings/valid",
    "/request/settings/test",
    "/request/settings/from",
    "/corpus/files",
    "/corpus/validation/files",
];
/// Key of the folder that training.json was written in, by which data is found that moved together with it.
const FOLDER: &str = "folder";

/// Makes the paths of files in `folders` relative to these. The last folder is the user's, and is recorded.
pub(super) fn make_relative(record: &mut Value, folders: &[&Path]) {
    each(record, |path| {
        folders.iter().find_map(|folder| within(path, folder))
    });
    let user = folders
        .last()
        .and_then(|folder| path::absolute(folder).ok());
    if let (Value::Object(record), Some(user)) = (record, user) {
        record.insert(FOLDER.to_string(), user.to_string_lossy().into());
    }
}

/// Makes relative paths absolute, where a file is there in one of the `folders`.
pub(super) fn make_absolute(record: &mut Value, folders: &[&Path]) {
    each(record, |path| {
        let candidates = folders.iter().map(|folder| folder.join(path));
        let found = candidates
            .filter(|_| path.is_relative())
            .find(|file| file.exists());
        path::absolute(found?).ok()
    });
}

/// The folder that a training.json was written in.
pub(super) fn folder(record: &Value) -> Option<PathBuf> {
    record[FOLDER].as_str().map(PathBuf::from)
}

/// Reduces every path to its last part, so that a copy does not show the folders of the machine that trained it.
pub(super) fn strip_folders(record: &mut Value) {
    each(record, |path| path.file_name().map(PathBuf::from));
    if let Value::Object(record) = record {
        record.remove(FOLDER);
    }
}

/// Changes every path for which `change` has another one.
fn each(record: &mut Value, mut change: impl FnMut(&Path) -> Option<PathBuf>) {
    for pointer in PATHS {
        let values = match record.pointer_mut(pointer) {
            Some(Value::Array(values)) => values.iter_mut().collect(),
            Some(value) => vec![value],
            None => Vec::new(),
        };
        for value in values {
            // A fraction may stand in the place of a file.
            let path = value.as_str().filter(|text| text.parse::<f64>().is_err());
            if let Some(changed) = path.and_then(|path| change(Path::new(path))) {
                *value = changed.to_string_lossy().into();
            }
        }
    }
}

/// The path of a file relative to the folder that it lies in; `None` if it does not.
fn within(file: &Path, folder: &Path) -> Option<PathBuf> {
    let inner = |file: &Path, folder: &Path| {
        let inner = file.strip_prefix(folder).ok()?;
        (!inner.as_os_str().is_empty()).then(|| inner.to_path_buf())
    };
    let literal = inner(&path::absolute(file).ok()?, &path::absolute(folder).ok()?);
    // The folder may be known by several names.
    let resolved = || {
        let parent = file.parent()?.canonicalize().ok()?;
        inner(
            &parent.join(file.file_name()?),
            &folder.canonicalize().ok()?,
        )
    };
    literal.or_else(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_paths_in_the_folder_are_relative_and_follow_it() {
        let place = tempfile::tempdir().unwrap();
        let (old, new) = (place.path().join("old"), place.path().join("new"));
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("text"), "").unwrap();
        let inside = old.join("text");
        let record = json!({
            "request": {
                "paths": [inside, "/elsewhere/book"],
                "settings": {"valid": "0.1", "from": inside},
            },
            "corpus": {"files": [inside], "validation": {"files": [inside]}, "from": "0a1b"},
            "finished": null,
        });
        let mut changed = record.clone();
        make_relative(&mut changed, &[&old]);
        assert_eq!(
            changed["request"]["paths"],
            json!(["text", "/elsewhere/book"])
        );
        assert_eq!(changed["corpus"]["validation"]["files"], json!(["text"]));
        assert_eq!(
            changed["request"]["settings"],
            json!({"valid": "0.1", "from": "text"})
        );
        assert_eq!(folder(&changed), Some(old.clone()));
        let mut same = changed.clone();
        make_absolute(&mut same, &[&old]);
        assert_eq!(same["request"], record["request"]);
        std::fs::rename(&old, &new).unwrap();
        make_absolute(&mut changed, &[&new]);
        assert_eq!(changed["corpus"]["files"], json!([new.join("text")]));
        assert_eq!(changed["corpus"]["from"], "0a1b");
        let mut shared = record.clone();
        strip_folders(&mut shared);
        assert_eq!(shared["request"]["paths"], json!(["text", "book"]));
    }
}
