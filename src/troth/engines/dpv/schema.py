"""Check a value against our own JSON Schema files: the part of the language they use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as the schema says, and where: a path such as `dpv:hasNotice.0.@id`."""

    place: str
    said: str


_KINDS: Mapping[str, type] = {"object": dict, "array": list, "string": str}


def validate(value: object, schema: Mapping[str, Any]) -> list[Finding]:
    """Check a value against a schema file; names every place that is wrong.

    Knows type, const, enum, pattern, required, properties, additionalProperties, items, minItems,
    maxItems, minLength, contains, allOf and $ref into $defs: what our files use.
    """
    return list(_walk(value, schema, schema, ""))


def _walk(
    value: object, rule: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> list[Finding]:
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].rpartition("/")[2]]
    kind = rule.get("type")
    if kind is not None and not isinstance(value, _KINDS[kind]):
        return [Finding(place or "the record", f"is no {kind}")]
    out = [f for each in rule.get("allOf", ()) for f in _walk(value, each, root, place)]
    if "const" in rule and value != rule["const"]:
        out.append(Finding(place, f"is not {rule['const']}"))
    if "enum" in rule and value not in rule["enum"]:
        out.append(Finding(place, "is none of the values it may have"))
    if isinstance(value, str):
        out += _text(value, rule, place)
    elif isinstance(value, list):
        out += _array(value, rule, root, place)
    elif isinstance(value, dict):
        out += _object(value, rule, root, place)
    return out


def _text(value: str, rule: Mapping[str, Any], place: str) -> list[Finding]:
    if len(value) < rule.get("minLength", 0):
        return [Finding(place, "is empty")]
    if "pattern" in rule and not re.search(rule["pattern"], value):
        return [Finding(place, "is not of its form")]
    return []


def _array(
    value: list[Any], rule: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> list[Finding]:
    out = []
    if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
        out.append(Finding(place, "has too few or too many entries"))
    for n, each in enumerate(value):
        if "items" in rule:
            out += _walk(each, rule["items"], root, f"{place}.{n}")
    wanted = rule.get("contains")
    if wanted and not any(not _walk(each, wanted, root, place) for each in value):
        out.append(Finding(place, "lacks an entry it must have"))
    return out


def _object(
    value: Mapping[str, Any], rule: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> list[Finding]:
    dot = f"{place}." if place else ""
    out = [Finding(f"{dot}{n}", "is missing") for n in rule.get("required", ()) if n not in value]
    known = rule.get("properties", {})
    for name, each in value.items():
        if name in known:
            out += _walk(each, known[name], root, f"{dot}{name}")
        elif rule.get("additionalProperties") is False:
            out.append(Finding(f"{dot}{name}", "is not known here"))
    return out


def terms_of(value: object) -> set[str]:
    """Return every term a record names by a prefix of a vocabulary, keys and values alike."""
    if isinstance(value, dict):
        return {
            t for pair in value.items() if pair[0] != "@context" for p in pair for t in terms_of(p)
        }
    if isinstance(value, list):
        return {term for each in value for term in terms_of(each)}
    return {value} if isinstance(value, str) and _TERM.fullmatch(value) else set()


_TERM = re.compile(r"(dpv|pd|loc|eu-gdpr|legal-za):[A-Za-z0-9-]+")
