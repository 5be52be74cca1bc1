//! The owner's intent, as every command that takes one reads it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{cluster::Problem, policy::Intent};

/// An intent cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntentError {
    #[error("reading the intent {}: {source}", .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("the intent {} says nothing that could be checked{why}", .file.display())]
    Empty { file: PathBuf, why: String },
}

/// Reads an intent, and what of it could not be taken.
pub(super) fn read_intent(file: &Path) -> Result<(Intent, Vec<Problem>), IntentError> {
    let text = fs::read_to_string(file).map_err(|source| IntentError::Read {
        file: file.to_owned(),
        source,
    })?;
    let (intent, problems) = Intent::parse(&text, file);
    if intent.paths.is_empty() && intent.closed.is_empty() {
        let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {}", why.join("; "))
        };
        return Err(IntentError::Empty {
            file: file.to_owned(),
            why,
        });
    }
    Ok((intent, problems))
}
