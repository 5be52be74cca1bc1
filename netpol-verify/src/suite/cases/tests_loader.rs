//! What the loader refuses, and that it names the place.
