//! Conformance cases as data: manifests applied step by step, and after each step the whole table of what must be open.
//!
//! A suite is a folder (`netpol-verify/suites/cyclonus`). Its `suite.yaml` names the rest:
//!
//! ```yaml
//! apiVersion: netpol-verify.io/v1alpha1
//! kind: Suite
//! title: …
//! world: ../world.yaml                   # manifests that are there before the first step of every case
//! ports: [80/TCP, 53/UDP]                # every pod is asked on each of them by every other
//! features: {direction: [ingress, egress]}   # the words that cases may use, by group
//! manifests: {base: {…}}                 # manifests that steps may start from
//! cases: [targets.yaml]                  # in this order
//! ```
//!
//! ```yaml
//! apiVersion: netpol-verify.io/v1alpha1
//! kind: Cases
//! anchors: {…}                           # a place for YAML anchors, nothing else
//! cases:
//! - id: CY-013
//!   title: A claim, in one sentence
//!   features: [ingress]
//!   default: false                       # the peer leaves it out of its default run; true when absent
//!   steps:
//!   - apply:                             # whole manifests, or one from `manifests` or the world with parts replaced
//!     - {like: base, set: {'spec.ingress[0].from': [{podSelector: {}}]}}
//!     - {like: Pod x/b, set: {metadata.labels: {pod: b, new: label}}}
//!     delete: [NetworkPolicy x/old]      # after `apply`; with `watched: true` paths are tried meanwhile too
//!     expect:
//!       ingress: {x/a: [{from: [x/b, y/*], ports: [80/TCP], family: IPv4}]}   # closed but for these lines
//!       egress: {x/a: []}                # who is not listed is open in that direction
//!       probes: [{from: x/a, to: y/a, port: 53/UDP, expect: Allow}]     # further questions, of hostNetwork pods too; they win over the lines
//!       # To `Service y/web` or `Node node2`: on the Service's port or its port on the node; the pod behind it answers. `Outside`
//!       # asks and answers beyond the nodes.
//!       problems: [{object: NetworkPolicy x/base, path: 'spec.egress[0].ports[0].endPort'}]
//!       changes: {added: [NetworkPolicy x/base]}
//! ```
//!
//! A connection must be let through iff the source's egress and the destination's ingress are both open to it. Parts are set in the
//! order of their paths, null takes one away, and a bare `y` or `n` is a truth value in YAML: quote it.

mod build;
mod expect;
mod file;
mod load;
mod manifest;
mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_axes;
#[cfg(test)]
mod tests_coverage;
#[cfg(test)]
mod tests_loader;

pub use expect::{Access, Expect, ExpectedChanges, ExpectedProbe, ExpectedProblem, Line, Row, Target};
pub use load::SuiteError;
pub use model::{Case, Port, Step, Suite};
