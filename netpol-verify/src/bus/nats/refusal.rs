//! Why something from the bus is not believed.

use netpol_verify_ebpf::RECORD_SIZE;

/// Changes with every change of what travels; a reader refuses another one.
pub(super) const FORMAT: &str = "1";
/// What a refusal may repeat of what it refuses.
const QUOTED: usize = 64;

/// What came from the bus makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is of another version, or not from a sensor.
    #[error("its format is {found:?}, not {FORMAT:?}")]
    Format {
        /// What it says.
        found: String,
    },
    /// Its index cannot be read.
    #[error("its index cannot be read: {cause}")]
    Index {
        /// Why not.
        cause: String,
    },
    /// It says that it is from another node than its subject allows.
    #[error("it claims to come from node {claimed:?} on the subject {subject:?}")]
    Origin {
        /// The node.
        claimed: String,
        /// Where it came.
        subject: String,
    },
    /// The lengths do not add up.
    #[error("its index speaks of {said} bytes, and it has {found}")]
    Length {
        /// By the index.
        said: usize,
        /// As they are.
        found: usize,
    },
    /// The records are not whole.
    #[error("{bytes} bytes are no number of records of {RECORD_SIZE}")]
    Records {
        /// Their bytes.
        bytes: usize,
    },
    /// There is too much in it.
    #[error("it has more {what} than a sensor ever says")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// A body cannot be read.
    #[error("its {what} cannot be read: {cause}")]
    Body {
        /// What it should be.
        what: &'static str,
        /// Why not.
        cause: String,
    },
}

/// The beginning of something hostile.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}
