//! A new file of SQL makes this crate stale: the macro that embeds them cannot say so itself.

fn main() {
    println!("cargo:rerun-if-changed=sql");
}
