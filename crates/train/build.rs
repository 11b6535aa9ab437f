//! Compiles what connects Rust and libtorch's c10d, and puts the folder of the libtorch that was linked into the binaries, so
//! that nobody has to set LD_LIBRARY_PATH.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys, for direct dependents only.
    let Ok(folder) = env::var("DEP_TCH_LIBTORCH_LIB") else {
        return;
    };
    let folder = Path::new(&folder);
    println!("cargo:rerun-if-changed={}", folder.display());
    compile_c10d(folder);
    // `.libtorch` is a link in this checkout; an installed binary must not depend on it.
    let real = folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_path_buf());
    // In an archive the libraries lie beside the programs, and are the ones that were packed with them.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/carousel");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.display());
    if real.join("libtorch_cuda.so").exists() {
        // Nothing names a symbol of libtorch_cuda: it registers itself when it is loaded.
        println!("cargo:rustc-link-arg-bin=carousel-train=-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg-bin=carousel-train=-ltorch_cuda");
        println!("cargo:rustc-link-arg-bin=carousel-train=-ltorch");
        println!("cargo:rustc-link-arg-bin=carousel-train=-Wl,--as-needed");
    }
}

/// Compiles the C functions over c10d. Its headers lie beside the libraries, but for gloo's, of which names are enough.
fn compile_c10d(libraries: &Path) {
    let own = "src/distributed/c10d";
    println!("cargo:rerun-if-changed={own}");
    let include = libraries.with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        // It only passes calls on: optimising it takes longer and gains nothing.
        .opt_level(1)
        .warnings(false)
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(own)
        .flag("-isystem")
        .flag(&include)
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include"))
        .file(format!("{own}/c10d.cpp"))
        .compile("carousel_c10d");
}
