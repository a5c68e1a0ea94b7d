//! Where things are.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Everything that the tests fetch, compile or write.
pub fn interop() -> PathBuf {
    target().join("interop")
}

/// Fuzz targets, their corpora and what they found.
pub fn fuzz() -> PathBuf {
    target().join("fuzz")
}

/// Kafka's jars.
pub fn jars() -> PathBuf {
    interop().join("jars")
}

/// The jars of Kafka's command line tools, whose newest published release is an older one.
pub fn tool_jars() -> PathBuf {
    interop().join("tool-jars")
}

/// The tests' own Java classes.
pub fn java_classes() -> PathBuf {
    interop().join("classes")
}

/// The Node tests with their packages.
pub fn node() -> PathBuf {
    interop().join("node")
}

/// The Python environment.
pub fn python() -> PathBuf {
    interop().join("python")
}

/// Output of the steps.
pub fn logs() -> PathBuf {
    interop().join("logs")
}

/// The hot paths without sockets, built together with the product.
pub fn guard() -> PathBuf {
    ottla().with_file_name("ottla-guard")
}

/// The product.
pub fn ottla() -> PathBuf {
    std::env::var_os("OTTLA").map_or_else(|| target().join("release/ottla"), PathBuf::from)
}
