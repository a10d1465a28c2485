"""A small JSON Schema: what the arguments of a tool may be. Objects, arrays, strings, numbers, integers, booleans."""

import json
from collections.abc import Mapping
from typing import Any

_KNOWN = {
    "type",
    "description",
    "properties",
    "required",
    "enum",
    "items",
    "minimum",
    "maximum",
    "additionalProperties",
}
_TYPES = ("object", "array", "string", "number", "integer", "boolean")


def check_arguments(value: Any, schema: Mapping[str, Any], where: str = "arguments") -> None:
    """Raise ValueError, with the place, unless `value` fits: types, required, enum, bounds, and no name too many."""
    kind = schema["type"]
    if not _fits(value, kind):
        raise ValueError(f"{where} is not of type {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{where} is {value!r}, which is not one of the allowed values")
    if "minimum" in schema and value < schema["minimum"]:
        raise ValueError(f"{where} is below {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        raise ValueError(f"{where} is above {schema['maximum']}")
    if kind == "array":
        for i, one in enumerate(value):
            check_arguments(one, schema["items"], f"{where}[{i}]")
    if kind == "object":
        properties = schema.get("properties", {})
        if missing := [name for name in schema.get("required", ()) if name not in value]:
            raise ValueError(f"{where} lacks {missing[0]}")
        if extra := sorted(value.keys() - properties.keys()):
            raise ValueError(f"{where} has an unknown name {extra[0]}")
        for name, one in value.items():
            check_arguments(one, properties[name], f"{where}.{name}")


def check_schema(schema: Any, where: str = "parameters") -> None:
    """Raise ValueError unless `schema` uses only what `check_arguments` understands."""
    if not isinstance(schema, Mapping) or schema.get("type") not in _TYPES:
        raise ValueError(f"{where} has no known type")
    if extra := sorted(schema.keys() - _KNOWN):
        raise ValueError(f"{where} has an unknown keyword {extra[0]}")
    if schema["type"] == "array":
        check_schema(schema.get("items"), f"{where}.items")
    if schema["type"] == "object":
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise ValueError(f"{where}.properties is not an object")
        if unknown := [name for name in schema.get("required", ()) if name not in properties]:
            raise ValueError(f"{where} requires {unknown[0]}, which it does not describe")
        for name, one in properties.items():
            check_schema(one, f"{where}.{name}")


def check_call(call: Mapping[str, Any], tools: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arguments of an OpenAI tool call. Raises ValueError unless it names a tool and fits its schema."""
    name = call["function"]["name"]
    if call["type"] != "function" or name not in tools:
        raise ValueError(f"a call names {name!r}, which is not among the tools")
    try:
        arguments = json.loads(call["function"]["arguments"])
    except json.JSONDecodeError as e:
        raise ValueError(f"the arguments of {name} are not JSON: {e.msg}") from None
    check_arguments(arguments, tools[name]["parameters"], name)
    return arguments


def tools_by_name(tools: tuple[Mapping[str, Any], ...]) -> dict[str, Mapping[str, Any]]:
    """Return the functions of OpenAI's `tools` by name. Raises ValueError for a wrong shape or a name that comes
    twice."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        function = tool.get("function")
        if tool.keys() != {"type", "function"} or tool["type"] != "function" or not isinstance(function, Mapping):
            raise ValueError("a tool is not of the form {type: function, function: …}")
        if function.keys() != {"name", "description", "parameters"} or not isinstance(function["name"], str):
            raise ValueError("a tool needs exactly name, description and parameters")
        if function["name"] in found:
            raise ValueError(f"two tools are called {function['name']}")
        check_schema(function["parameters"], f"{function['name']}.parameters")
        found[function["name"]] = function
    return found


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "number":
        return isinstance(value, int | float)
    return isinstance(value, {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}[kind])
