//! One integration binary; each module is a contract.

// The stages' arrows, the doors of outside types, and who may read a clock.
mod arrows;
// The fallback of older kernels, and pods that go while they are watched.
mod attachment;
// A bus that damages what it carries.
mod damage;
// Repeats become a count, and the count is exact.
mod folding;
// Habits that no lint holds: first lines, sizes, versions, rules with their keepers.
mod habits;
// Every fault of the lab against the literal prediction of what it touches.
mod lab_faults;
// The guide on real packets, as each CNI plays it: flannel, kubenet, enforcing; every wiring and number of nodes.
mod lab_guide;
// Bad input: places named, nothing raw on a terminal, rights that are missing.
mod lab_input;
// Killed and interrupted runs leave nothing.
mod lab_killed;
// Enforcers that anyone brings, good and bad.
mod lab_program;
// The playground: up, apply, verify, delete, down, in the right and the wrong order.
mod lab_standing;
// Help, doctor, completions, manual pages, colours, closed pipes.
mod lab_words;
// Every packet is a record or a counted loss, and a loss touches only whom it touched.
mod losses;
// Who may reach whom from manifests alone: filters, formats, comparisons, pipes.
mod matrix;
// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching.
mod sensor;
// Packets with more headers than usual.
mod shapes;
// Reads the workspace's own sources, for the arrows and the habits.
mod source;
