//! Turns the .proto files into Rust, without any program from outside.

use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by its environment where to write")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One file per service; each is a module of its own in src/lib.rs, and takes what it imports from there.
    let services = ["coordinate", "write", "query", "replicate", "tier"];
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for service in services {
        let file = format!("proto/{service}.proto");
        println!("cargo:rerun-if-changed={file}");
        let descriptors = protox::compile([&file], ["proto"])?;
        let mut builder = tonic_prost_build::configure();
        for other in services.iter().filter(|it| **it != service) {
            builder = builder.extern_path(format!(".zepto.{other}.v1"), format!("crate::{other}"));
        }
        if service == "write" {
            // Rows are the bulk of what travels: shared, not copied.
            builder = builder.bytes(".zepto.write.v1.SubRequest.rows");
        }
        if service == "query" {
            builder = builder.bytes(".zepto.query.v1.Rows.ipc");
        }
        if service == "replicate" {
            builder = builder
                .bytes(".zepto.replicate.v1.Rows.ipc")
                .bytes(".zepto.replicate.v1.Block.ipc")
                .bytes(".zepto.replicate.v1.Window.bytes");
        }
        // A folder each: the imported file would be written again, without its messages.
        let folder = out.join(service);
        std::fs::create_dir_all(&folder)?;
        builder.out_dir(folder).compile_fds(descriptors)?;
    }
    Ok(())
}
