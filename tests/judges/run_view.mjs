// Runs a ViewDefinition over the resources of an NDJSON file with Medplum's engine and prints a row a line.
//
//     node run_view.mjs VIEW.json RESOURCES.ndjson[.gz]
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { evalSqlOnFhir } from "@medplum/core";

const [viewFile, resourceFile] = process.argv.slice(2);
const bytes = readFileSync(resourceFile);
const text = (resourceFile.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
const view = JSON.parse(readFileSync(viewFile, "utf8"));
const resources = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
process.stdout.write(evalSqlOnFhir(view, resources).map((row) => JSON.stringify(row) + "\n").join(""));
