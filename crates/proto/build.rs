//! Turns the .proto files into Rust, without any program from outside.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One file per service; each is a module of its own in src/lib.rs.
    let files = ["proto/coordinate.proto"];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
