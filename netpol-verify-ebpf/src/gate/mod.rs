//! What the lab's enforcer by TC and its programs share: rules, gates, flows, and how a packet is read and decided.
//!
//! This is the lab's, never the sensor's: the programs that use it are the binary `lab_enforcer`, an object of its own.
//!
//! ```text
//!  GATES[interface, way] -- first, count --> RULES: a list that is walked from its first rule on
//!    a rule that matches names the next one, or the end: accept, drop; one that does not is followed by the one behind it
//!  FLOWS[interface, both ends, protocol]: what was accepted, so that answers and later packets pass
//! ```

mod flow;
mod packet;
mod rule;
#[cfg(test)]
mod tests;

pub use flow::{Flow, FlowKey, LIFETIME_NS};
pub use packet::{Packet, Read, read};
pub use rule::{ACCEPT, DROP, End, Gate, GateKey, RULES, Rule, Way, transport};

/// The names of programs and maps in the object.
pub mod name {
    /// The classifier of what a pod sends, on the node's end of its link.
    pub const FROM_POD: &str = "from_pod";
    /// The classifier of what is sent to a pod.
    pub const TO_POD: &str = "to_pod";
    /// The gates.
    pub const GATES: &str = "GATES";
    /// The rules of all gates.
    pub const RULES: &str = "RULES";
}
