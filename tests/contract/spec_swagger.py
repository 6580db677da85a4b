"""Swagger 2.0 rewritten as OpenAPI 3.0: the same rules in the newer words, so that one validator judges both."""

from collections.abc import Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
OF_PARAMETER = ("name", "in", "description", "required", "allowEmptyValue")
STYLES: dict[str, dict[str, Any]] = {
    "csv": {"style": "form", "explode": False},
    "multi": {"style": "form", "explode": True},
    "pipes": {"style": "pipeDelimited", "explode": False},
    "ssv": {"style": "spaceDelimited", "explode": False},
}
MOVED = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}


def openapi_of(swagger: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI 3.0 document with the same paths, schemas, parameters and answers (no security, no examples)."""
    consumes, produces = swagger.get("consumes", ["application/json"]), swagger.get("produces", ["application/json"])
    shared = swagger.get("parameters", {})
    bodies = {name for name, one in shared.items() if one["in"] in ("body", "formData")}
    if bodies:
        raise ValueError(f"bodies that are shared between operations: {sorted(bodies)}")
    return {
        "openapi": "3.0.3",
        "info": swagger["info"],
        "servers": [{"url": swagger.get("basePath", "/")}],
        "paths": {path: _path(item, consumes, produces) for path, item in swagger["paths"].items()},
        "components": {
            "schemas": {name: _schema(schema) for name, schema in swagger.get("definitions", {}).items()},
            "parameters": {name: _parameter(one) for name, one in shared.items()},
            "responses": {name: _response(one, produces) for name, one in swagger.get("responses", {}).items()},
        },
    }


def _path(item: Mapping[str, Any], consumes: list[str], produces: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        method: _operation(item[method], consumes, produces) for method in METHODS if method in item
    }
    if "parameters" in item:
        made["parameters"] = [_parameter(one) for one in item["parameters"]]
    return made


def _operation(operation: Mapping[str, Any], consumes: list[str], produces: list[str]) -> dict[str, Any]:
    consumes, produces = operation.get("consumes", consumes), operation.get("produces", produces)
    parameters = operation.get("parameters", [])
    made: dict[str, Any] = {
        "operationId": operation.get("operationId"),
        "parameters": [_parameter(one) for one in parameters if one.get("in") not in ("body", "formData")],
        "responses": {str(code): _response(one, produces) for code, one in operation["responses"].items()},
    }
    for body in (one for one in parameters if one.get("in") == "body"):
        content = {media: {"schema": _schema(body["schema"])} for media in consumes}
        made["requestBody"] = {"required": body.get("required", False), "content": content}
    fields = [one for one in parameters if one.get("in") == "formData"]
    if fields:
        schema = {
            "type": "object",
            "properties": {one["name"]: _parameter(one)["schema"] for one in fields},
            "required": [one["name"] for one in fields if one.get("required")],
        }
        made["requestBody"] = {"content": {media: {"schema": schema} for media in consumes}}
    return made


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in parameter:
        return {"$ref": _moved(parameter["$ref"])}
    made = {key: parameter[key] for key in OF_PARAMETER if key in parameter}
    made["schema"] = _schema({key: value for key, value in parameter.items() if key not in OF_PARAMETER})
    if parameter.get("type") == "array" and parameter["in"] == "query":
        made |= STYLES[parameter.get("collectionFormat", "csv")]
    return made


def _response(response: Mapping[str, Any], produces: list[str]) -> dict[str, Any]:
    if "$ref" in response:
        return {"$ref": _moved(response["$ref"])}
    made: dict[str, Any] = {"description": response.get("description", "")}
    if "schema" in response:
        made["content"] = {media: {"schema": _schema(response["schema"])} for media in produces}
    return made


def _schema(schema: Any) -> Any:
    """Names within `properties` are names, whatever they spell."""
    if isinstance(schema, list):
        return [_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": _moved(schema["$ref"])}
    made = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _schema(one) for name, one in value.items()}
        elif key == "x-nullable":
            made["nullable"] = value
        elif key == "discriminator":
            made[key] = {"propertyName": value}
        elif key in ("example", "examples", "collectionFormat") or key.startswith("x-"):
            continue
        else:
            made[key] = _schema(value) if key in ("items", "allOf", "additionalProperties", "not") else value
    return made


def _moved(ref: str) -> str:
    for old, new in MOVED.items():
        if ref.startswith(old):
            return new + ref.removeprefix(old)
    raise ValueError(f"a reference to somewhere else: {ref}")
