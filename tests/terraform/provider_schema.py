"""Reads the schema of Terraform's AWS provider out of the npm package @cdktn/provider-aws, which is generated from it.

usage: provider_schema.py PACKAGE.tgz >schema.json

    {"version": "6.66.0",
     "types": {"resource.aws_lb": {"arguments": "ID", "attributes": ["arn", ...], "found": {"arn": "string", ...}}, "data.aws_vpc": ...},
     "blocks": {"ID": {"name": {"required": true, "block": "ID" or null, "many": false, "type": "string"}, ...}}}

`found` are the attributes that are no arguments. A type is written as Terraform's protocol does; that of a block is null.

The package describes each resource and data source as a class, its arguments as an interface, and each nested block as
another one. The name that Terraform uses stands at the end of each argument's link to the documentation.
"""

import json
import re
import sys
import tarfile

LINK = re.compile(r"registry\.terraform\.io/providers/hashicorp/aws/([\d.]+)/docs/(resources|data-sources)/\w+#(\w+)")
# What every construct has and no resource.
NOT_ATTRIBUTES = {"tf_resource_type"}


def main() -> None:
    types = _assembly(sys.argv[1])["types"]
    blocks, versions = {}, set()
    for name, described in types.items():
        if described["kind"] == "interface":
            arguments = dict(filter(None, (_argument(one, versions) for one in described.get("properties", []))))
            if arguments:
                blocks[name] = arguments
    (version,) = versions
    made = {"version": version, "types": dict(_resources(types, blocks)), "blocks": blocks}
    json.dump(made, sys.stdout)


def _assembly(package: str) -> dict:
    with tarfile.open(package) as archive:
        return json.load(archive.extractfile("package/.jsii"))


def _argument(described: dict, versions: set[str]) -> tuple[str, dict] | None:
    docs = described.get("docs", {})
    found = LINK.search(docs.get("summary", "") + docs.get("remarks", ""))
    if not found:
        return None
    versions.add(found[1])
    block = _block(described["type"])
    many = block is not None and "fqn" not in described["type"]
    type = None if block else _type(described["type"], {})
    return found[3], {"required": not described.get("optional", False), "block": block, "many": many, "type": type}


def _block(described: dict) -> str | None:
    """The interface of a nested block: by itself, in a list, or as one of several types."""
    if "union" in described:
        return next(filter(None, map(_block, described["union"]["types"])), None)
    if "collection" in described:
        return _block(described["collection"]["elementtype"])
    name = described.get("fqn", "")
    return name if name.startswith("@cdktn/provider-aws.") else None


PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic", "json": "dynamic"}
DEEPEST = 2
MAPS = {"StringMap": "string", "NumberMap": "number", "BooleanMap": "bool", "AnyMap": "dynamic"}


def _type(described: dict, types: dict, depth: int = 0):
    """The type of a value. What is found of a list of objects stands in the class of its elements; some hold their own kind."""
    if "union" in described:
        return next(filter(None, (_type(one, types, depth) for one in described["union"]["types"])), None)
    if "collection" in described:
        element = _type(described["collection"]["elementtype"], types, depth)
        return ["map" if described["collection"]["kind"] == "map" else "list", element]
    if "primitive" in described:
        return PRIMITIVE[described["primitive"]]
    package, _, name = described["fqn"].rpartition(".")
    if package == "cdktn":
        listed = name.removesuffix("List")
        if listed not in MAPS:
            return "bool"
        return ["map", MAPS[name]] if name in MAPS else ["list", ["map", MAPS[listed]]]
    element = types.get(described["fqn"].removesuffix("List") + "OutputReference")
    if not element or depth == DEEPEST:
        return None
    return ["list", ["object", _found(element, types, depth + 1)]]


def _found(described: dict, types: dict, depth: int = 0) -> dict:
    """What a class has, by Terraform's names."""
    found = {}
    for one in described.get("properties", []):
        name = one["name"]
        if not name.endswith("Input") and name != "internalValue" and not one.get("static"):
            found[_snake(name)] = _type(one["type"], types, depth) or "dynamic"
    return found


def _resources(types: dict, blocks: dict):
    """Each resource and data source: the class that has `tfResourceType`, with its arguments and attributes."""
    for name, described in types.items():
        properties = {one["name"] for one in described.get("properties", [])}
        if described["kind"] != "class" or "tfResourceType" not in properties:
            continue
        module, _, kind = name.rpartition(".")
        data = kind.startswith("DataAws")
        arguments = f"{module}.{kind}Config"
        attributes = {_snake(one) for one in properties if not one.endswith("Input")} - NOT_ATTRIBUTES
        given = set(blocks.get(arguments, ()))
        tf_name = "aws_" + _snake(module.rpartition(".")[2]).removeprefix("data_aws_")
        yield (
            f"{'data' if data else 'resource'}.{tf_name}",
            {
                "arguments": arguments,
                "attributes": sorted(attributes | given | {"id"}),
                "found": {one: type for one, type in _found(described, types).items() if one in attributes - given},
            },
        )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


if __name__ == "__main__":
    main()
