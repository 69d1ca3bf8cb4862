// Runs a ViewDefinition over the resources of an NDJSON file and prints a row a line. Every expression is evaluated by HL7's
// fhirpath.js; what a view is beyond expressions stands here, as the standard tells it, and shares nothing with lakefeed.
//
//     node run_view_fhirpathjs.mjs VIEW.json RESOURCES.ndjson[.gz]
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fhirpath from "fhirpath";
import r4 from "fhirpath/fhir-context/r4/index.js";

const [viewFile, resourceFile] = process.argv.slice(2);
const bytes = readFileSync(resourceFile);
const text = (resourceFile.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
const view = JSON.parse(readFileSync(viewFile, "utf8"));

const valueOf = (constant) => Object.entries(constant).find(([key]) => key.startsWith("value"))[1];
const constants = Object.fromEntries((view.constant ?? []).map((constant) => [constant.name, valueOf(constant)]));

// A relative reference is `Type/id`, a version of it `Type/id/_history/version`.
const keyOf = (reference, wanted) => {
  const found = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[^/]+)?$/.exec(reference ?? "");
  return found && (!wanted || found[1] === wanted) ? [found[2]] : [];
};
const plain = (node) => node?.data ?? node;
const userInvocationTable = {
  getResourceKey: { fn: (inputs) => inputs.map((input) => plain(input).id).filter(Boolean), arity: { 0: [] } },
  getReferenceKey: {
    fn: (inputs, wanted) => inputs.flatMap((input) => keyOf(plain(input).reference, wanted?.name)),
    arity: { 0: [], 1: ["TypeSpecifier"] },
  },
};

const compiled = new Map();
const evaluate = (path, context) => {
  if (!compiled.has(path)) {
    // Contexts are nodes of fhirpath.js, which know their types, so that one expression can go on where another ended.
    compiled.set(path, fhirpath.compile(path, r4, { userInvocationTable, resolveInternalTypes: false }));
  }
  return compiled.get(path)(context, constants);
};

const cell = (column, context) => {
  const values = evaluate(column.path, context).map((value) => value?.toJSON?.() ?? plain(value));
  if (column.collection) return values;
  if (values.length > 1) throw new Error(`${column.name} has several values`);
  return values[0] ?? null;
};

const crossed = (left, right) => left.flatMap((one) => right.map((other) => ({ ...one, ...other })));

// The columns of a select, all null, for an iteration over nothing.
const nothing = (select) => Object.assign(
  Object.fromEntries((select.column ?? []).map((column) => [column.name, column.collection ? [] : null])),
  ...(select.select ?? []).map(nothing),
  select.unionAll ? nothing(select.unionAll[0]) : {},
);

const rowsOf = (select, context) => {
  const path = select.forEach ?? select.forEachOrNull;
  const contexts = path ? evaluate(path, context) : [context];
  if (contexts.length === 0) return select.forEachOrNull ? [nothing(select)] : [];
  return contexts.flatMap((one) => {
    let rows = [Object.fromEntries((select.column ?? []).map((column) => [column.name, cell(column, one)]))];
    for (const nested of select.select ?? []) rows = crossed(rows, rowsOf(nested, one));
    if (select.unionAll) rows = crossed(rows, select.unionAll.flatMap((branch) => rowsOf(branch, one)));
    return rows;
  });
};

for (const line of text.split("\n").filter(Boolean)) {
  const resource = JSON.parse(line);
  if (resource.resourceType !== view.resource) continue;
  if (!(view.where ?? []).every(({ path }) => evaluate(path, resource)[0] === true)) continue;
  const rows = view.select.map((select) => rowsOf(select, resource)).reduce(crossed, [{}]);
  process.stdout.write(rows.map((row) => JSON.stringify(row) + "\n").join(""));
}
