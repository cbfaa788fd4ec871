#!/bin/sh
# Builds components from the two programs of this folder: `build.sh DIRECTORY`.
#
# Needs npm, node and python3. The program in JavaScript is built with WASI's functions as
# imports, too.
set -eu
guest=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"

npm install --silent --no-save --prefix build @bytecodealliance/componentize-js@0.23.0
cat > build/js.mjs <<'END'
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";
const [guest, output, ...disableFeatures] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: `${guest}/app.js`,
  witPath: `${guest}/world.wit`,
  worldName: "responder",
  disableFeatures,
});
await writeFile(output, component);
END
node build/js.mjs "$guest" js.wasm
node build/js.mjs "$guest" js-no-imports.wasm random stdio clocks http fetch-event

python3 -m venv build/python
build/python/bin/pip install --quiet componentize-py==0.25.1
# CPython would use more of WASI than the tests have.
cp "$guest/app.py" build
build/python/bin/componentize-py -d "$guest/world.wit" -w responder \
    componentize --stub-wasi -o py-no-imports.wasm -p build app
