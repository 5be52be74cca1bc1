//! The sensor: loads the programs, finds and follows network namespaces, moves untouched records to the bus, and
//! accounts for every loss. It holds no Kubernetes credentials and decodes nothing.
//!
//! ```text
//!  object (loaded once) --- attach <--- follow <--- discover: /run/netns, /proc; interface events
//!       |  ring                            |
//!       v                                  v
//!     drain ---- Batch ----> bus <--- Announcement
//! ```

mod answer;
mod attach;
mod confine;
mod crier;
mod discover;
mod drain;
mod events;
mod follow;
mod follower;
mod inside;
mod link;
mod object;
mod options;
mod probe;
mod service;
mod sys;

pub use attach::{AttachError, Attached, Attachment};
pub use confine::{ConfineError, confine};
pub use discover::{Filter, Pods, Roots, is_cni_name};
pub use drain::{Drain, DrainHandle};
pub use follow::{Follow, FollowError};
pub use inside::{InsideError, Interface, NetnsPath, OpenNetns, inside};
pub use object::{EMBEDDED, LoadError, Object, abi_version};
pub use options::Options;
pub use probe::{Probe, ProbeError, ProbeSocket, Sent, Tunnel};
pub use service::{Mode, Sensor, SensorError};
