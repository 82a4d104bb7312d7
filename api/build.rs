//! The migrations are compiled in to tell whether a database has them all; Cargo does not see by itself that they changed.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
