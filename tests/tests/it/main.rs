//! One integration binary; each module is a contract.

// The stages' arrows, the doors of outside types, and who may read a clock.
mod arrows;
// Habits that no lint holds: first lines, sizes, versions, rules with their keepers.
mod habits;
// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching, folding, budgets, losses.
mod sensor;
// Reads the workspace's own sources, for the two above.
mod source;
