//! Programs that tests bring.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Result;

/// Writes a program that can be run as it is.
///
/// # Errors
/// The file cannot be written.
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
