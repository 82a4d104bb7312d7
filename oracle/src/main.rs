//! The oracle's process.

fn main() {}
