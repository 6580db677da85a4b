"""A schema in parts (`allOf`) as one, so that it can be closed: a part by itself would refuse the others' fields."""

from typing import Any


def join(document: dict[str, Any]) -> None:
    """Joins the parts of all schemas, in place.

    `oneOf` becomes `anyOf`: of an empty list nobody can say which of the two kinds it is a list of.
    """
    schemas = document.get("components", {}).get("schemas", {})
    for name in list(schemas):
        schemas[name] = _joined(document, schemas[name], ())
    for part in ("responses", "requestBodies", "parameters"):
        parts = document.get("components", {}).get(part, {})
        for name in list(parts):
            parts[name] = _joined(document, parts[name], ())
    document["paths"] = _joined(document, document["paths"], ())


def _joined(document: dict[str, Any], value: Any, within: tuple[str, ...]) -> Any:
    """`within`: the references that are being followed."""
    if isinstance(value, list):
        return [_joined(document, one, within) for one in value]
    if not isinstance(value, dict):
        return value
    parts = value.get("allOf")
    made = {
        "anyOf" if key == "oneOf" else key: _joined(document, one, within)
        for key, one in value.items()
        if key not in ("allOf", "example", "examples")
    }
    for part in parts if isinstance(parts, list) else []:
        whole = _followed(document, part, within)
        made["properties"] = {**made.get("properties", {}), **whole.get("properties", {})}
        made["required"] = [*made.get("required", []), *whole.get("required", [])]
        made |= {key: one for key, one in whole.items() if key not in ("properties", "required")}
    if parts is not None:
        made = {key: one for key, one in made.items() if one or key not in ("properties", "required")}
    return made


def _followed(document: dict[str, Any], part: Any, within: tuple[str, ...]) -> dict[str, Any]:
    while "$ref" in part:
        name = part["$ref"]
        if name in within:
            raise ValueError(f"a schema that is a part of itself: {name}")
        within = (*within, name)
        part = document
        for step in name.removeprefix("#/").split("/"):
            part = part[step]
    found: dict[str, Any] = _joined(document, part, within)
    return found
