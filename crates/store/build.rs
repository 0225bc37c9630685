//! Compiles the crate again where a migration is added: the macro that embeds them only sees files.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
