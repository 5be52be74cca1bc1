//! One integration binary; each module is a contract.

// Every fault of the lab against the literal prediction of what it touches.
mod lab_faults;
// Killed and interrupted runs leave nothing.
mod lab_killed;
// Enforcers that anyone brings, good and bad.
mod lab_program;
// The guide on real packets, as each CNI plays it: flannel, kubenet, enforcing; every wiring and number of nodes.
mod lab_guide;
// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching, folding, budgets, losses.
mod sensor;
