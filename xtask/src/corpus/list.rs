//! The published modules that `cargo xtask corpus` fetches, each identified by the name and
//! exact version of an npm package, and by the SHA-256 of the module.

pub(super) struct Module {
    /// Its file name here.
    pub(super) file: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// Its path in the package.
    pub(super) path: &'static str,
    /// The hash of the module, in lower-case hexadecimal digits.
    pub(super) sha256: &'static str,
    pub(super) licence: &'static str,
    /// Its toolchain, and any peculiarity.
    pub(super) made_by: &'static str,
}

pub(super) const MODULES: &[Module] = &[
    Module {
        file: "quickjs.wasm",
        package: "quickjs-wasi",
        version: "3.6.2",
        path: "quickjs.wasm",
        sha256: "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9",
        licence: "MIT",
        made_by: "wasi-sdk C: a JavaScript engine",
    },
    Module {
        file: "sqljs.wasm",
        package: "sql.js",
        version: "1.16.0",
        path: "dist/sql-wasm.wasm",
        sha256: "43bbcdd44287e5a2db3b6b5af34b1a3485a7a441285d247976c1ebe3c61f8dbf",
        licence: "MIT",
        made_by: "Emscripten C (minified imports)",
    },
    Module {
        file: "sqlite-official.wasm",
        package: "@sqlite.org/sqlite-wasm",
        version: "3.41.2+build.1",
        path: "sqlite-wasm/jswasm/sqlite3.wasm",
        sha256: "2d34bf9279985db154f98bfab9ffa289b014821873ed188b67e3a4c5d1b7faec",
        licence: "Apache-2.0",
        made_by: "Emscripten C, imported memory",
    },
    Module {
        file: "web-tree-sitter.wasm",
        package: "web-tree-sitter",
        version: "0.27.1",
        path: "web-tree-sitter.wasm",
        sha256: "beca80e44cccbf2299ed4d1e3fa6462a9a6fe818aeebf847547a392227ce4acc",
        licence: "MIT",
        made_by: "Emscripten C MAIN_MODULE (dlopen host)",
    },
    Module {
        file: "tfjs-threaded.wasm",
        package: "@tensorflow/tfjs-backend-wasm",
        version: "4.22.0",
        path: "dist/tfjs-backend-wasm-threaded-simd.wasm",
        sha256: "c052228d4bef185c27bbe59a9e029570c78bbb9f08b3cb46b597851650373de2",
        licence: "Apache-2.0",
        made_by: "Emscripten C++ pthreads+SIMD",
    },
    Module {
        file: "oxc-parser.wasm",
        package: "@oxc-parser/binding-wasm32-wasi",
        version: "0.154.0",
        path: "parser.wasm32-wasi.wasm",
        sha256: "7340aa8b373174b7db84bd6102e5f3646da4be49ae65d71ea4521348f91801a1",
        licence: "MIT",
        made_by: "Rust wasm32-wasip1-threads (napi-rs)",
    },
    Module {
        file: "astro.wasm",
        package: "@astrojs/compiler",
        version: "4.0.0",
        path: "dist/astro.wasm",
        sha256: "a4ed5ef260d401dba6f172d52a3c27dbd933bfcd9b1698e91b430214c9701313",
        licence: "MIT",
        made_by: "Go gc GOOS=js",
    },
    Module {
        file: "sh-syntax.wasm",
        package: "sh-syntax",
        version: "0.7.0",
        path: "main.wasm",
        sha256: "a5fa93b167190b12547595999cc60f1c2deb5366c214d1ca5b63c96a7c9d39b9",
        licence: "MIT",
        made_by: "TinyGo",
    },
    Module {
        file: "zig_fmt.wasm",
        package: "@wasm-fmt/zig_fmt",
        version: "0.15.2",
        path: "zig_fmt.wasm",
        sha256: "a2abf9533d0bc97dbd302feb40b3787fd4690ddc425bbca99e86a0efd82ed7ac",
        licence: "MIT",
        made_by: "Zig",
    },
    Module {
        file: "oniguruma.wasm",
        package: "vscode-oniguruma",
        version: "2.0.1",
        path: "release/onig.wasm",
        sha256: "76ebc1f0d87b2e7449a45ff3cd1a1546a9f05f54bdac44ee03e8a2b8348897be",
        licence: "MIT",
        made_by: "Emscripten C",
    },
    Module {
        file: "wllama.wasm",
        package: "@wllama/wllama",
        version: "3.8.1",
        path: "esm/wasm/wllama.wasm",
        sha256: "551f13439366eff11e057b1b91fe46a7fdac29d56d67372d4c5f19a549dfe70c",
        licence: "MIT",
        made_by: "Emscripten C++ (llama.cpp)",
    },
];
