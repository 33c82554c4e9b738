//! The `skyherd` program.
fn main() {}
