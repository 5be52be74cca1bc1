//! Sightings of one attempt become an outcome. Knows no Kubernetes.

mod outcome;

pub use outcome::{DropClass, DropPlace, Outcome, Rejection, Reply, UnknownCause};
