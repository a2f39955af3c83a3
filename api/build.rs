//! Takes the built page from `web/dist` into the executable; without it the server says how to build it.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../web/dist");
    let dist = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../web/dist");
    if dist.join("index.html").is_file() {
        // Debug builds read the files at request time, so that a changed page needs no other server.
        memory_serve::load_directory("../web/dist");
    } else {
        fs::write(PathBuf::from(env::var("OUT_DIR")?).join("memory_serve_assets.rs"), "&[]")?;
    }
    Ok(())
}
