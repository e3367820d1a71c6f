//! The version, with the commit where the build names one (`CORELOG_COMMIT`: `+g` and its beginning).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CORELOG_COMMIT");
    let commit = std::env::var("CORELOG_COMMIT").unwrap_or_default();
    println!("cargo:rustc-env=CORELOG_VERSION={}{commit}", env!("CARGO_PKG_VERSION"));
}
