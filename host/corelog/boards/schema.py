"""Checks a value against a JSON Schema: the part of draft 7 that `schema.json` uses.

A keyword that is not known here is an error of the schema, so that it never says what is not checked. `oneOf` chooses
by the property that is a `const` in each of its schemas, which makes for better messages than trying them all.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,)}  # fmt: skip
_SILENT = {"$schema", "$id", "title", "description", "default"}
_WITH_OTHERS = {"properties", "additionalProperties"}


def problems(schema: Schema, value: Any, path: str = "") -> list[str]:
    """What is wrong with the value, a line each, with the path to it; empty when nothing is."""
    if "type" in schema and not _is(value, schema["type"]):
        return [f"{path or 'the file'} is {_show(value)}, it must be of type {schema['type']}"]
    found = []
    for keyword, wanted in schema.items():
        if keyword not in _SILENT | _WITH_OTHERS | {"type"}:
            found += [f"{path or 'the file'} {text}" if text[0] != "\0" else text[1:]
                      for text in _CHECKS[keyword](wanted, value, path)]  # fmt: skip
    if "properties" in schema:
        found += _properties(schema, value, path)
    return found


def with_defaults(schema: Schema, value: dict[str, Any]) -> dict[str, Any]:
    """The object, with the defaults of the properties that it lacks."""
    return {k: s["default"] for k, s in schema["properties"].items() if "default" in s} | value


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _properties(schema: Schema, value: Any, path: str) -> list[str]:
    found = []
    known = schema["properties"]
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        if name in known:
            found += problems(known[name], item, here)
        elif schema.get("additionalProperties") is False:
            near = difflib.get_close_matches(name, known, 1)
            found.append(f"{here} is not known" + (f"; is {near[0]} meant?" if near else ""))
    return found


# Each yields what is wrong, to follow the path; or a whole line after a zero character.


def _enum(wanted: list[Any], value: Any, path: str) -> Iterator[str]:
    if not any(_same(value, one) for one in wanted):
        yield f"is {_show(value)}, it must be {' or '.join(map(_show, wanted))}"


def _const(wanted: Any, value: Any, path: str) -> Iterator[str]:
    return _enum([wanted], value, path)


def _required(wanted: list[str], value: Any, path: str) -> Iterator[str]:
    if missing := [name for name in wanted if name not in value]:
        yield f"lacks {', '.join(missing)}"


def _items(wanted: Schema, value: Any, path: str) -> Iterator[str]:
    for n, item in enumerate(value):
        yield from ("\0" + text for text in problems(wanted, item, f"{path}[{n}]"))


def _one_of(wanted: list[Schema], value: Any, path: str) -> Iterator[str]:
    consts = [{name: s["const"] for name, s in one["properties"].items() if isinstance(s.get("const"), str)}
              for one in wanted]  # fmt: skip
    [name] = set.intersection(*map(set, consts))
    if not isinstance(value, dict) or name not in value:
        yield f"is {_show(value)}, it must be an object with {name}"
        return
    for one, const in zip(wanted, consts, strict=True):
        if _same(value[name], const[name]):
            yield from ("\0" + text for text in problems(one, value, path))
            return
    choices = " or ".join(_show(const[name]) for const in consts)
    yield f"\0{path}.{name} is {_show(value[name])}, which has no gateware here: there is {choices}"


def _pattern(wanted: str, value: Any, path: str) -> Iterator[str]:
    if not re.search(wanted.removesuffix("$") + (r"\Z" if wanted.endswith("$") else ""), value):
        yield f"is {_show(value)}, which does not match {wanted}"


def _unique(wanted: bool, value: Any, path: str) -> Iterator[str]:
    texts = [json.dumps(item, sort_keys=True) for item in value]
    if wanted and (twice := next((text for n, text in enumerate(texts) if text in texts[:n]), None)) is not None:
        yield f"has {twice} twice"


def _limit(least: bool, of_length: bool, wanted: int, value: Any) -> Iterator[str]:
    number = len(value) if of_length else value
    if number < wanted if least else number > wanted:
        what = f"has {number} elements" if of_length else f"is {number}"
        yield f"{what}, it must be {wanted} at {'least' if least else 'most'}"


_CHECKS = {
    "enum": _enum,
    "const": _const,
    "required": _required,
    "items": _items,
    "oneOf": _one_of,
    "pattern": _pattern,
    "uniqueItems": _unique,
    "minimum": lambda wanted, value, path: _limit(True, False, wanted, value),
    "maximum": lambda wanted, value, path: _limit(False, False, wanted, value),
    "minItems": lambda wanted, value, path: _limit(True, True, wanted, value),
    "maxItems": lambda wanted, value, path: _limit(False, True, wanted, value),
}
