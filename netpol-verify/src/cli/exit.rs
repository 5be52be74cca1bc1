//! The exit codes: a contract with scripts.

use std::process::ExitCode;

use crate::causes::causes;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked is so.
    Good = 0,
    /// A violation was found.
    Violation = 1,
    /// The command line or all of the input is wrong.
    Usage = 2,
    /// It cannot be told.
    Inconclusive = 3,
    /// The environment cannot run it.
    Environment = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Says why on standard error, with every cause, and gives the exit.
pub(super) fn fail(exit: Exit, error: &dyn std::error::Error) -> ExitCode {
    super::stream::complain(&causes(error));
    exit.into()
}
