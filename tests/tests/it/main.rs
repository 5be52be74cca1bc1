//! One integration binary; each module is a contract.

// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching, folding, budgets, losses.
mod sensor;
