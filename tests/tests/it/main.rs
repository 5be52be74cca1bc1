//! One integration binary; each module is a contract.

// The fallback of older kernels, and pods that go while they are watched.
mod attachment;
// A bus that damages what it carries.
mod damage;
// Repeats become a count, and the count is exact.
mod folding;
// Every packet is a record or a counted loss, and a loss touches only whom it touched.
mod losses;
// What the sensor sees on a real kernel: sent, delivered, dropped and why; attaching.
mod sensor;
// Packets with more headers than usual.
mod shapes;
