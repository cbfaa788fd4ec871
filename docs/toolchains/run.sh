#!/usr/bin/env bash
# Builds small programs with the toolchains that are installed, and prints how much of their
# data is in images, before and after each fix, as the tables of README.md. Whatever has an
# image is built and verified.
#
# usage: docs/toolchains/run.sh OUTPUT_DIRECTORY
#
# Tools are found by these variables. Where a tool is missing, its rows are skipped.
set -euo pipefail
: "${MEMINIT:=wasm-meminit}" "${CLANG:=clang}" "${EMCC:=emcc}" "${ZIG:=zig}" "${GO:=go}"
: "${RUSTC:=rustc}" "${ASC:=asc}" "${COMPONENTIZE_PY:=componentize-py}"
: "${COMPONENTIZE_JS:=componentize-js}" "${NPM:=npm}"
: "${WASM_MEMINIT_CORPUS:=}" # optional: published modules, see `cargo xtask corpus`

sources=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
export GO111MODULE=off

has() {
    command -v "$1" >/dev/null && return
    echo "skipped: no $1" >&2
    return 1
}

# Prints the share of FILE with OPTIONS, after comparing every byte of the artifact.
share() {
    local file=$1
    shift
    "$MEMINIT" inspect --json "$file" "$@" | python3 "$sources/share.py"
    local modules
    modules=$("$MEMINIT" inspect --json "$file" | grep -c '"name": ' || true)
    if [ "$modules" = 1 ]; then
        "$MEMINIT" build "$file" -o "$file.meminit" "$@" >/dev/null
        "$MEMINIT" verify "$file" "$file.meminit" >/dev/null
    fi
}

title() { printf '\n%s\n\n| built with | `inspect` with | data in images |\n|---|---|---|\n' "$1"; }

# row FLAGS FILE [OPTIONS]
row() {
    local flags=$1 file=$2 options=""
    shift 2
    [ $# = 0 ] || options="\`$*\`"
    printf '| %s | %s | %s |\n' "$flags" "$options" "$(share "$file" "$@")"
}

zeroed=--assume-zeroed-imports
threads="$zeroed --start-function writes-stripped"

if has "$CLANG"; then
    title "$("$CLANG" --version | head -n 1)"
    c() { "$CLANG" --target=wasm32 -nostdlib -O2 "$sources/app.c" "${@:2}" -o "$1"; }
    shared=-Wl,--no-entry,--import-memory,--shared-memory,--max-memory=1048576
    c c.wasm -Wl,--no-entry
    row '`-nostdlib`' c.wasm
    c imported.wasm -Wl,--no-entry,--import-memory
    row '`-Wl,--import-memory`' imported.wasm
    row '' imported.wasm $zeroed
    c bulk.wasm -mbulk-memory -Wl,--no-entry,--import-memory
    row '`-Wl,--import-memory -mbulk-memory`' bulk.wasm $zeroed
    c threads.wasm -DTHREADS -matomics -mbulk-memory -ftls-model=local-exec $shared
    row '`-matomics -mbulk-memory -Wl,--shared-memory`' threads.wasm
    row '' threads.wasm $threads
    c pic.wasm --target=wasm32-unknown-emscripten -fPIC -Wl,--no-entry,--experimental-pic,-shared
    row '`-fPIC -Wl,-shared`' pic.wasm
    row '' pic.wasm --global env.__memory_base=65536 --memory env.memory=2M $zeroed
    if "$CLANG" --target=wasm32-wasi -O2 -DLIBC "$sources/app.c" -o wasi.wasm 2>/dev/null; then
        row '`--target=wasm32-wasi`' wasi.wasm
    fi
fi

if has "$EMCC"; then
    title "$("$EMCC" --version | head -n 1)"
    c() { "$EMCC" -O1 "$sources/app.c" "${@:2}" -o "$1" 2>emcc.log || test -s "${1%.js}.wasm"; }
    c em.js -DLIBC
    row '' em.wasm
    c em-imported.js -DLIBC -sIMPORTED_MEMORY=1
    row '`-sIMPORTED_MEMORY=1`' em-imported.wasm
    row '' em-imported.wasm $zeroed
    c em-threads.js -DLIBC -DTHREADS -pthread
    row '`-pthread`' em-threads.wasm
    row '' em-threads.wasm $threads
    c em-main.js -DLIBC -sMAIN_MODULE=2
    row '`-sMAIN_MODULE=2`' em-main.wasm
    # The address at which Emscripten's loader puts a main program.
    row '' em-main.wasm --global env.__memory_base=1024 $zeroed
    "$EMCC" -O1 "$sources/app.c" -sSIDE_MODULE=1 -o em-side.wasm
    row '`-sSIDE_MODULE=1`' em-side.wasm
    row '' em-side.wasm --global env.__memory_base=5242880 --memory env.memory=16M $zeroed
fi

if has "$RUSTC"; then
    title "$("$RUSTC" --version)"
    rust() { "$RUSTC" --edition 2024 -O "$sources/app.rs" "${@:2}" -o "$1"; }
    library="--cfg library --crate-type cdylib --target wasm32-unknown-unknown"
    rust rs.wasm $library
    row '`--target wasm32-unknown-unknown`' rs.wasm
    rust rs-wasi.wasm --target wasm32-wasip1
    row '`--target wasm32-wasip1`' rs-wasi.wasm
    rust rs-imported.wasm $library -C link-arg=--import-memory
    row '`-C link-arg=--import-memory`' rs-imported.wasm
    row '' rs-imported.wasm $zeroed
    rust rs-threads.wasm --target wasm32-wasip1-threads
    row '`--target wasm32-wasip1-threads`' rs-threads.wasm
    row '' rs-threads.wasm $threads
fi

if has "$NPM"; then
    title "wasm-bindgen: @jsquash/oxipng 2.3.0"
    "$NPM" pack --silent @jsquash/oxipng@2.3.0 >/dev/null
    tar xf jsquash-oxipng-2.3.0.tgz
    cp package/codec/pkg/squoosh_oxipng_bg.wasm oxipng.wasm
    cp package/codec/pkg-parallel/squoosh_oxipng_bg.wasm oxipng-parallel.wasm
    row 'one thread' oxipng.wasm
    row 'threads (wasm-bindgen-rayon)' oxipng-parallel.wasm $threads
fi

if has "$GO"; then
    title "$("$GO" version)"
    for system in js wasip1; do
        GOOS=$system GOARCH=wasm "$GO" build -o "go-$system.wasm" "$sources/app.go"
        row "\`GOOS=$system\`" "go-$system.wasm"
    done
fi

if has "${ZIG%% *}"; then
    title "zig $($ZIG version)"
    zig() {
        $ZIG build-exe "$sources/app.zig" -target wasm32-freestanding -fno-entry -rdynamic \
            -O ReleaseSmall -femit-bin="$1" "${@:2}"
    }
    zig zig.wasm
    row '' zig.wasm
    zig zig-imported.wasm --import-memory
    row '`--import-memory`' zig-imported.wasm
    row '' zig-imported.wasm $zeroed
    zig zig-bulk.wasm --import-memory -mcpu=generic+bulk_memory
    row '`--import-memory -mcpu=generic+bulk_memory`' zig-bulk.wasm $zeroed
    zig zig-threads.wasm -mcpu=generic+atomics+bulk_memory --import-memory --shared-memory \
        --max-memory=2097152
    row '`-mcpu=generic+atomics+bulk_memory --shared-memory`' zig-threads.wasm
    row '' zig-threads.wasm $threads
    zig zig-own.wasm --import-memory -fno-lld
    row '`--import-memory -fno-lld`' zig-own.wasm $threads
    zig zig-lld.wasm --import-memory -flld
    row '`--import-memory -flld`' zig-lld.wasm $zeroed
fi

if has "$ASC"; then
    title "AssemblyScript $("$ASC" --version)"
    "$ASC" "$sources/app.ts" -O --runtime stub -o as.wasm
    row '' as.wasm
    "$ASC" "$sources/app.ts" -O --runtime stub --importMemory -o as-imported.wasm
    row '`--importMemory`' as-imported.wasm
    row '' as-imported.wasm $zeroed
fi

if has "$COMPONENTIZE_JS"; then
    title "componentize-js $("$COMPONENTIZE_JS" --version)"
    "$COMPONENTIZE_JS" "$sources/app.js" --wit "$sources/world.wit" -n app \
        --disable stdio random clocks http fetch-event -o js.wasm >/dev/null
    row '' js.wasm
fi

if has "$COMPONENTIZE_PY"; then
    title "$("$COMPONENTIZE_PY" --version)"
    # It imports the program, and leaves files next to it.
    cp "$sources/app.py" "$sources/world.wit" .
    "$COMPONENTIZE_PY" -d world.wit -w app componentize app -o py.wasm >/dev/null
    row '' py.wasm
fi

if [ -n "$WASM_MEMINIT_CORPUS" ]; then
    title "Published modules"
    published() { cp "$WASM_MEMINIT_CORPUS/$2.wasm" . && row "$1" "$2.wasm" "${@:3}"; }
    published 'sh-syntax (TinyGo)' sh-syntax
    published 'astro (Go)' astro
    published 'zig_fmt (Zig)' zig_fmt
    for options in "" "$zeroed"; do
        published 'sqlite-official (Emscripten, `-sIMPORTED_MEMORY`)' sqlite-official $options
    done
    for options in "" "$threads"; do
        published 'tfjs-threaded (Emscripten, `-pthread`)' tfjs-threaded $options
        published 'wllama (Emscripten, `-pthread`)' wllama $options
        published 'oxc-parser (Rust, `wasm32-wasip1-threads`)' oxc-parser $options
    done
    at="--global env.__memory_base=5242880"
    for options in "" "$at --memory env.memory=96M $zeroed"; do
        published 'web-tree-sitter (Emscripten, `-sMAIN_MODULE`)' web-tree-sitter $options
        published 'pydantic-core (Rust, Emscripten, `-sSIDE_MODULE`)' pydantic-core $options
    done
fi
