//! The build in `sbf/` on a machine whose compiler, library or LLVM is not the one it was made for.
#![expect(clippy::unwrap_used, reason = "a test may fail by any panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A machine as the build sees it: all that it looks at, made up.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One on which nothing is wrong up to the point where something would be built.
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        machine.rustc("1.96.0", "22.1.8");
        machine.sources("1.96.0");
        machine.llvm("22.1.8");
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, prints: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn rustc(&self, release: &str, llvm: &str) {
        self.program("rustc", &format!("rustc {release} (made up)\nrelease: {release}\nLLVM version: {llvm}"));
    }

    fn sources(&self, release: &str) {
        fs::create_dir_all(self.at("src/library/std")).unwrap();
        fs::create_dir_all(self.at("src/src")).unwrap();
        fs::write(self.at("src/src/version"), format!("{release}\n")).unwrap();
    }

    fn llvm(&self, version: &str) {
        self.program("llvm/bin/llvm-config", version);
        self.program("llvm/bin/opt", version);
    }

    fn build(&self) -> Output {
        Command::new(Path::new(ROOT).join("sbf/build-program"))
            .arg(Path::new(ROOT).join("sbf/selftest"))
            .arg(self.at("out.so"))
            .env("SBF_RUSTC", self.at("rustc"))
            .env("SBF_RUST_SRC", self.at("src"))
            .env("SBF_LLVM", self.at("llvm"))
            .env("SBF_HOME", self.at("home"))
            .output()
            .unwrap()
    }

    /// What the build says when it stops before it has made anything.
    #[track_caller]
    fn refusal(&self) -> String {
        let ended = self.build();
        assert_eq!(ended.status.code(), Some(1));
        assert!(!self.at("out.so").exists());
        assert!(!self.at("home").exists(), "nothing is made before the versions are right");
        String::from_utf8(ended.stderr).unwrap()
    }
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "says nothing of {part:?}:\n{said}");
    }
}

#[test]
fn a_compiler_of_another_version_is_refused_with_both_versions_and_what_to_do() {
    let machine = Machine::new();
    machine.rustc("1.99.0", "22.1.8");
    assert_says(&machine.refusal(), &["found Rust 1.99.0", "made for Rust 1.96", "rustc-web", "sbf/README.md"]);
}

#[test]
fn a_compiler_on_another_llvm_is_refused() {
    let machine = Machine::new();
    machine.rustc("1.96.0", "21.1.0");
    assert_says(&machine.refusal(), &["LLVM 21.1.0", "LLVM 22", "sbf/README.md"]);
}

#[test]
fn no_compiler_at_all_is_answered_with_how_to_get_one() {
    let machine = Machine::new();
    fs::remove_file(machine.at("rustc")).unwrap();
    assert_says(&machine.refusal(), &["no Rust compiler", "Rust 1.96", "apt-get install rustc-web"]);
}

#[test]
fn a_standard_library_of_another_version_than_the_compilers_is_refused() {
    let machine = Machine::new();
    machine.sources("1.85.0");
    assert_says(&machine.refusal(), &["sources in", "1.85.0", "1.96.0", "rust-web-src"]);
}

#[test]
fn a_missing_standard_library_is_answered_with_how_to_get_it() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.at("src/library")).unwrap();
    assert_says(&machine.refusal(), &["no sources of Rust's standard library", "rust-web-src"]);
}

#[test]
fn another_llvm_is_refused() {
    let machine = Machine::new();
    machine.llvm("19.1.7");
    assert_says(&machine.refusal(), &["found LLVM 19.1.7", "LLVM 22", "llvm-22-dev"]);
}

#[test]
fn a_standard_library_that_the_patch_does_not_fit_is_refused_and_leaves_nothing_half_made() {
    let machine = Machine::new();
    for file in
        ["hash/random.rs", "sys/alloc/mod.rs", "sys/io/error/mod.rs", "sys/random/mod.rs", "sys/thread_local/mod.rs"]
    {
        let path = machine.at("src/library/std/src").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "// another library\n").unwrap();
    }
    let ended = machine.build();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_says(&said, &["std-solana.patch does not apply", "sbf/README.md"]);
    assert!(!machine.at("home/1.96.0").exists(), "a second run would take it for whole");
}

#[test]
fn where_cargo_build_sbf_is_installed_make_program_uses_it() {
    let machine = Machine::new();
    let bin = machine.at("bin");
    fs::create_dir_all(&bin).unwrap();
    // Writes what it was asked for where the program would be.
    let stand_in = "#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --manifest-path) crate=$2;; --sbf-out-dir) out=$2;; --arch) arch=$2;; esac; shift; done\nmkdir -p \"$out\"\nfor name in rebate_program sbf_selftest; do echo \"$arch $crate\" >\"$out/$name.so\"; done\n";
    fs::write(bin.join("cargo-build-sbf"), stand_in).unwrap();
    fs::set_permissions(bin.join("cargo-build-sbf"), fs::Permissions::from_mode(0o755)).unwrap();

    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let ended =
        Command::new(Path::new(ROOT).join("setup/program")).arg(machine.at("out")).env("PATH", path).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let built = |name: &str| fs::read_to_string(machine.at("out").join(name)).unwrap();
    assert!(built("rebate.so").starts_with("v3 ") && built("rebate.so").contains("programs/rebate/Cargo.toml"));
    assert!(built("selftest.so").contains("sbf/selftest/Cargo.toml"));
}
