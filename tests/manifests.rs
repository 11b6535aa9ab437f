use std::collections::BTreeSet;

/// Names of the crates that a manifest depends on, also for tests and builds, but for those of this workspace.
fn crates(manifest: &str) -> BTreeSet<&str> {
    let mut depends = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            depends = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
        } else if depends && line.starts_with(|c: char| c.is_ascii_lowercase()) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            if !name.starts_with("carousel") {
                names.insert(name);
            }
        }
    }
    names
}

#[test]
fn every_crate_has_its_reason() {
    let page = include_str!("../docs/dependencies.md");
    let quoted: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let manifests = [
        include_str!("../Cargo.toml"),
        include_str!("../crates/kernels/Cargo.toml"),
        include_str!("../crates/python/Cargo.toml"),
        include_str!("../crates/train/Cargo.toml"),
    ];
    let named: BTreeSet<&str> = manifests.into_iter().flat_map(crates).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.difference(&quoted).collect();
    assert!(missing.is_empty(), "docs/dependencies.md lacks {missing:?}");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let gone: Vec<_> = explained.difference(&named).collect();
    assert!(gone.is_empty(), "docs/dependencies.md has {gone:?}");
}
