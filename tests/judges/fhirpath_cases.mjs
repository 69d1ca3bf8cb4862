// Prints the HL7 test cases of FHIRPath for R4, as the package `fhirpath` carries them, a JSON object a line: first
// the resources that they are about, then the cases in their order.
//
//     node fhirpath_cases.mjs
//
// A name that occurs more than once is numbered from its second case on.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const yaml = require("js-yaml");
const folder = new URL("node_modules/fhirpath/test/", import.meta.url);
const read = (name) => readFileSync(new URL(name, folder), "utf8");
const print = (object) => process.stdout.write(JSON.stringify(object) + "\n");

function* casesOf(entries) {
  for (const entry of entries) {
    const group = Object.keys(entry).find((key) => key.startsWith("group"));
    if (group) yield* casesOf(entry[group]);
    else yield entry;
  }
}

const cases = [...casesOf(yaml.load(read("cases/fhir-r4.yaml")).tests)];
for (const input of new Set(cases.map((one) => one.inputfile))) {
  print({ input, resource: JSON.parse(read(`resources/${input}`)) });
}
const seen = new Map();
for (const { desc, inputfile, expression, result, error } of cases) {
  const name = desc.replace(/^\*+ /, "");
  const count = (seen.get(name) ?? 0) + 1;
  seen.set(name, count);
  print({
    name: count > 1 ? `${name} (${count})` : name,
    input: inputfile,
    expression,
    ...(error ? {} : { result }),
  });
}
