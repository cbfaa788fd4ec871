//! Compiles and runs the examples, as a C programmer does: `make install`, `pkg-config`, `cc`.
//!
//! What is missing on this machine is skipped, and named; `cargo xtask engines test c` shows it.

#![cfg(target_os = "linux")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const REQUESTS: &str = "\
request 0: 42, 43, grown from 2 pages
request 1: 42, 43, grown from 2 pages
request 2: 42, 43, grown from 2 pages
";

/// What a test needs and does not find.
struct Missing(&'static str);

/// A folder with the installed library, and what examples read.
struct Installed {
    dir: TempDir,
}

/// Runs a test, or says why not.
fn run(name: &str, test: impl FnOnce(&Installed) -> Result<(), Missing>) {
    match Installed::new().and_then(|installed| test(&installed)) {
        Ok(()) => println!("ran: {name}"),
        Err(Missing(what)) => println!("skipped: {name}: no {what}"),
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The value of a variable that the README documents.
fn tool(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Starts a program; `None` if there is none of that name.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => None,
        Err(err) => panic!("{command:?}: {err}"),
    }
}

/// Runs a program that must succeed, and returns its output.
#[track_caller]
fn succeed(command: &mut Command, missing: Missing) -> Result<String, Missing> {
    let output = output(command).ok_or(missing)?;
    let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
    Ok(out)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Installed {
    fn new() -> Result<Self, Missing> {
        let dir = tempfile::tempdir().expect("a folder");
        // Cargo puts the library of the package next to its tests.
        let test = env::current_exe().expect("a path");
        let built = test.parent().expect("a folder");
        let mut make = Command::new(tool("MAKE", "make"));
        make.current_dir(package())
            .env_remove("MAKEFLAGS")
            .arg("install")
            .arg(format!("PREFIX={}", dir.path().join("usr").display()))
            .arg(format!("BUILT={}", built.display()));
        succeed(&mut make, Missing("make"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    fn lib(&self) -> PathBuf {
        self.path("usr/lib")
    }

    fn pkg_config(&self, args: &[&str]) -> Result<Vec<String>, Missing> {
        let mut command = Command::new(tool("PKG_CONFIG", "pkg-config"));
        command.env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        let flags = succeed(
            command.args(args).arg("wasm-meminit"),
            Missing("pkg-config"),
        )?;
        Ok(flags.split_whitespace().map(str::to_owned).collect())
    }

    /// Compiles C, with warnings as errors, and returns the program.
    fn compile(&self, example: &str, args: &[&OsStr]) -> Result<PathBuf, Missing> {
        let program = self.path(example);
        let source = package().join("examples").join(example).with_extension("c");
        let mut cc = Command::new(tool("CC", "cc"));
        cc.args(["-std=c11", "-g", "-Wall", "-Wextra", "-Werror"])
            .arg(source)
            .args(args)
            .args(self.pkg_config(&["--cflags", "--libs"])?)
            .arg(format!("-Wl,-rpath,{}", self.lib().display()))
            .arg("-o")
            .arg(&program);
        succeed(&mut cc, Missing("C compiler"))?;
        Ok(program)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    /// The program that the engines run.
    fn guest(&self) -> PathBuf {
        let wasm = wat::parse_file(package().join("examples/guest.wat"));
        self.write("guest.wasm", wasm.expect("valid"))
    }

    /// The artifact of a module with a segment whose address the host chooses.
    fn tour(&self) -> PathBuf {
        let wasm = fs::read(package().join("../../tests/modules/tour.wasm")).expect("a module");
        self.write("tour.meminit", ahead::build(&wasm))
    }
}

mod ahead {
    //! What ahead-of-time tools do.

    use wasm_meminit::{Module, Policy};
    use wasm_meminit_image_builder::rewrite;

    pub(super) fn build(wasm: &[u8]) -> Vec<u8> {
        let module = Module::parse(wasm).expect("valid");
        wasm_meminit::build(&module, &Policy::default()).expect("small")
    }

    /// The module without the data in its artifact, which imports its memory.
    pub(super) fn rewrite(wasm: &[u8]) -> Vec<u8> {
        let module = Module::parse(wasm).expect("valid");
        let plan = wasm_meminit::analysis::Plan::new(&module, &Policy::default());
        let stripped = rewrite::strip(&module, &plan).expect("a module");
        let module = Module::parse(&stripped).expect("valid");
        let name = |_| "memory0".to_owned();
        rewrite::externalize(&module, "host", &name).expect("a module")
    }
}

const RESET: &str = "\
use 0: 16777216 bytes, \"the quick brown fox jumps over the lazy dog\", \"placed by the host\", \
grown by a zero: 1
use 1: 16777216 bytes, \"the quick brown fox jumps over the lazy dog\", \"placed by the host\", \
grown by a zero: 1
use 2: 16777216 bytes, \"the quick brown fox jumps over the lazy dog\", \"placed by the host\", \
grown by a zero: 1
";

#[test]
fn from_an_artifact_to_a_reset_in_sixty_lines() {
    run("reset.c", |installed| {
        let source = fs::read_to_string(package().join("examples/reset.c")).expect("UTF-8");
        assert!(source.lines().count() <= 60);
        let program = installed.compile("reset", &["-pedantic".as_ref()])?;
        let mut command = Command::new(program);
        let out = succeed(command.arg(installed.tour()), Missing("program"))?;
        assert_eq!(out, RESET);
        let bad = installed.write("bad.meminit", "not an artifact");
        let failed = Command::new(installed.path("reset")).arg(bad).output();
        let failed = failed.expect("starts");
        assert_eq!(failed.status.code(), Some(1));
        assert!(lossy(&failed.stderr).starts_with("error: "), "{failed:?}");
        Ok(())
    });
}

/// The strategy by default, with the compiler's own checks.
#[test]
fn the_sanitizers_find_nothing() {
    run("reset.c with -fsanitize=address,undefined", |installed| {
        let check = "-fsanitize=address,undefined";
        let empty = installed.write("empty.c", "int main(void) { return 0; }\n");
        let mut cc = Command::new(tool("CC", "cc"));
        cc.arg(check)
            .arg(empty)
            .arg("-o")
            .arg(installed.path("empty"));
        let can = output(&mut cc).ok_or(Missing("C compiler"))?;
        if !can.status.success() {
            return Err(Missing("sanitizers of the C compiler"));
        }
        let undefined = "-fno-sanitize-recover=undefined";
        let program = installed.compile("reset", &[check.as_ref(), undefined.as_ref()])?;
        let mut command = Command::new(program);
        let out = succeed(command.arg(installed.tour()), Missing("program"))?;
        assert_eq!(out, RESET);
        Ok(())
    });
}

/// No error, and all memory freed. Valgrind 3.19 does not know the call by which the default
/// strategy finds written pages, and considers its results undefined.
#[test]
fn valgrind_finds_nothing() {
    run("reset.c under valgrind", |installed| {
        let strategy = "-DSTRATEGY=WASM_MEMINIT_STRATEGY_DISCARD";
        let program = installed.compile("reset", &[strategy.as_ref()])?;
        let mut command = Command::new(tool("VALGRIND", "valgrind"));
        command
            .args([
                "--error-exitcode=9",
                "--leak-check=full",
                "--show-leak-kinds=all",
            ])
            .args(["--errors-for-leak-kinds=definite,indirect,possible"])
            .arg(program)
            .arg(installed.tour());
        let output = output(&mut command).ok_or(Missing("valgrind"))?;
        let report = lossy(&output.stderr);
        assert!(output.status.success(), "{report}");
        assert_eq!(lossy(&output.stdout), RESET);
        let summary = report.lines().filter(|line| {
            ["ERROR SUMMARY", "in use at exit", "All heap blocks"]
                .iter()
                .any(|it| line.contains(it))
        });
        summary.for_each(|line| println!("{line}"));
        assert!(report.contains("ERROR SUMMARY: 0 errors"), "{report}");
        Ok(())
    });
}

/// The static library, which needs the system libraries that pkg-config names.
#[test]
fn the_static_library_and_both_languages() {
    run("static library, C99 and C++", |installed| {
        let header = installed.write(
            "header.c",
            "#include <wasm_meminit.h>\nint main(void) {\n\
            wasm_meminit_slot *slot;\nreturn wasm_meminit_slot_new(NULL, &slot); }\n",
        );
        let library = installed.lib().join("libwasm_meminit.a");
        let flags = installed.pkg_config(&["--cflags"])?;
        if library.exists() {
            let private = installed.pkg_config(&["--static", "--libs-only-l"])?;
            let private = private.iter().filter(|flag| *flag != "-lwasm_meminit");
            let program = installed.path("static");
            let mut cc = Command::new(tool("CC", "cc"));
            cc.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"])
                .args(&flags)
                .args([&header, &library])
                .args(private)
                .arg("-o")
                .arg(&program);
            succeed(&mut cc, Missing("C compiler"))?;
            succeed(&mut Command::new(program), Missing("program"))?;
        }
        let mut cxx = Command::new(tool("CXX", "c++"));
        cxx.args(["-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"])
            .args(&flags)
            .arg(installed.write("header.cc", "#include <wasm_meminit.h>\n\
                wasm_meminit_status f(wasm_meminit_slot *s) { return wasm_meminit_slot_grow(s, 1); }\n"));
        succeed(&mut cxx, Missing("C++ compiler"))?;
        Ok(())
    });
}

#[test]
fn the_code_of_the_readme_compiles() {
    run("README.md", |installed| {
        let readme = fs::read_to_string(package().join("README.md")).expect("UTF-8");
        let code = readme
            .split("```c\n")
            .nth(1)
            .and_then(|it| it.split("```").next());
        let source = format!(
            "#include <wasm_meminit.h>\n\
             void check(wasm_meminit_status);\n\
             void run(uint8_t *, uint64_t);\n\
             void embed(void);\n\
             void embed(void) {{\n{}}}\n",
            code.expect("C code")
        );
        let source = installed.write("readme.c", source);
        let mut cc = Command::new(tool("CC", "cc"));
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"])
            .args(installed.pkg_config(&["--cflags"])?)
            .arg(source);
        succeed(&mut cc, Missing("C compiler")).map(drop)
    });
}

/// An interpreter that has the package `wasmtime`.
fn python() -> Result<String, Missing> {
    let missing = "Python with the package wasmtime (WASMTIME_PYTHON)";
    let python = tool("WASMTIME_PYTHON", "python3");
    let mut command = Command::new(&python);
    let output = output(command.args(["-c", "import wasmtime"])).ok_or(Missing(missing))?;
    match output.status.success() {
        true => Ok(python),
        false => Err(Missing(missing)),
    }
}

fn with_stats(stats: &str) -> String {
    format!("{REQUESTS}{stats}\n")
}

#[test]
fn wasmtime_with_memories_from_our_pool() {
    run("wasmtime.c", |installed| {
        let find = "import wasmtime._ffi; print(wasmtime._ffi.dll._name)";
        let mut command = Command::new(python()?);
        let library = succeed(command.args(["-c", find]), Missing("Python"))?;
        // The package gives its library a name that linkers do not search for.
        let library = PathBuf::from(library.trim());
        let name = "libwasmtime.so";
        std::os::unix::fs::symlink(&library, installed.path(name)).expect("a link");
        let link = [
            format!("-L{}", installed.dir.path().display()),
            format!("-Wl,-rpath,{}", installed.dir.path().display()),
            format!(
                "-Wl,-rpath,{}",
                library.parent().expect("a folder").display()
            ),
            "-lwasmtime".to_owned(),
        ];
        let program = installed.compile("wasmtime", &link.each_ref().map(OsStr::new))?;
        let mut command = Command::new(program);
        let out = succeed(command.arg(installed.guest()), Missing("program"))?;
        assert_eq!(out, with_stats("1 slot, 2 starts that mapped nothing"));
        Ok(())
    });
}

#[test]
fn python_with_memories_from_our_pool() {
    run("python_ctypes.py", |installed| {
        let mut command = Command::new(python()?);
        command
            .env(
                "WASM_MEMINIT_LIB",
                installed.lib().join("libwasm_meminit.so"),
            )
            .arg(package().join("examples/python_ctypes.py"))
            .arg(installed.guest());
        let out = succeed(&mut command, Missing("Python"))?;
        assert_eq!(out, with_stats("1 slot, 2 starts that mapped nothing"));
        Ok(())
    });
}

#[test]
fn wasm2c_with_memory_of_the_host() {
    run("wasm2c.c", |installed| {
        let runtime = PathBuf::from(tool("WASM2C_RUNTIME", "/usr/share/wabt/wasm2c"));
        if !runtime.join("wasm-rt-impl.c").exists() {
            return Err(Missing("wasm-rt-impl.c (WASM2C_RUNTIME)"));
        }
        let wasm = fs::read(installed.guest()).expect("a file");
        let artifact = installed.write("guest.meminit", ahead::build(&wasm));
        let rewritten = installed.write("host.wasm", ahead::rewrite(&wasm));
        let mut wasm2c = Command::new(tool("WASM2C", "wasm2c"));
        wasm2c
            .arg(rewritten)
            .args(["-n", "guest", "-o"])
            .arg(installed.path("guest.c"));
        succeed(&mut wasm2c, Missing("wasm2c"))?;
        // Our growth replaces the runtime's. Its code does not pass our warnings.
        let object = |name: &str, source: PathBuf| {
            let object = installed.path(name);
            let mut cc = Command::new(tool("CC", "cc"));
            cc.args([
                "-std=gnu11",
                "-O1",
                "-w",
                "-Dwasm_rt_grow_memory=grow_of_the_runtime",
            ])
            .args(["-c", "-o"])
            .args([&object, &source])
            .arg(format!("-I{}", runtime.display()));
            succeed(&mut cc, Missing("C compiler")).map(|_| object)
        };
        let runtime_object = object("runtime.o", runtime.join("wasm-rt-impl.c"))?;
        let mut cc = Command::new(tool("CC", "cc"));
        let guest_object = installed.path("guest.o");
        cc.args(["-std=gnu11", "-O1", "-w", "-c", "-o"])
            .args([&guest_object, &installed.path("guest.c")]);
        succeed(&mut cc, Missing("C compiler"))?;
        let include = [
            format!("-I{}", installed.dir.path().display()),
            format!("-I{}", runtime.display()),
            "-lm".to_owned(),
        ];
        let mut args = vec![guest_object.as_os_str(), runtime_object.as_os_str()];
        args.extend(include.iter().map(OsStr::new));
        let program = installed.compile("wasm2c", &args)?;
        let mut command = Command::new(program);
        let out = succeed(command.arg(artifact), Missing("program"))?;
        assert_eq!(out, REQUESTS);
        Ok(())
    });
}
