//! Prints the OpenAPI document: `cargo run -p api --example openapi > web/openapi.json`.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string_pretty(&api::openapi())?);
    Ok(())
}
