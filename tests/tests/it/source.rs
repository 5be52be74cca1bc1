//! Reads the workspace's own sources for the tests that hold its rules.
#![expect(clippy::expect_used, reason = "a test that cannot read its sources must fail")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a member of a workspace")
        .to_path_buf()
}

/// A Rust file.
pub(crate) struct Source {
    /// Its path under the folder that was asked for, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// It is compiled for tests only: `tests.rs`, or declared under `#[cfg(test)]`.
    pub(crate) only_tests: bool,
}

impl Source {
    /// The first folder of its path: a stage, in `netpol-verify/src`. Files beside `lib.rs` have none.
    pub(crate) fn stage(&self) -> Option<&str> {
        self.path.split_once('/').map(|(stage, _)| stage)
    }

    /// What is compiled into the product: no comments, and nothing from an inline test module on (it comes last).
    pub(crate) fn product(&self) -> String {
        let end = self
            .text
            .match_indices("#[cfg(test)]")
            .map(|(at, _)| at)
            .find(|&at| {
                let next = self.text[at..].lines().nth(1).unwrap_or_default();
                next.starts_with("mod ") && next.ends_with('{')
            });
        self.text[..end.unwrap_or(self.text.len())]
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// All Rust files under a folder of the workspace.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let root = workspace().join(folder);
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let mut sources: Vec<Source> = files
        .into_iter()
        .map(|file| Source {
            path: file
                .strip_prefix(&root)
                .expect("it was found under it")
                .to_string_lossy()
                .into_owned(),
            text: fs::read_to_string(&file).expect("a source can be read"),
            only_tests: false,
        })
        .collect();
    let test_only: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.only_tests = test_only
            .iter()
            .any(|one| module == one || module.starts_with(&format!("{one}/")));
    }
    assert!(!sources.is_empty(), "no sources under {folder}");
    sources
}

/// Modules that a file declares under `#[cfg(test)]`, as paths.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = match source.path.strip_suffix("mod.rs") {
        Some(folder) => folder.to_owned(),
        None => source
            .path
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/")),
    };
    let mut lines = source.text.lines().peekable();
    let mut modules = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let declared = lines
            .peek()
            .and_then(|next| next.trim().rsplit_once("mod ")?.1.strip_suffix(';'));
        modules.extend(declared.map(|name| format!("{folder}{name}")));
    }
    modules
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
