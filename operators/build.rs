//! The migrations are compiled in; Cargo does not see by itself that they changed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
