"""Read a consent record as others write it too: every spelling of the guide, and Kantara's."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.engines.dpv.record import CONTEXT
from troth.errors import InvalidInput

MAX_BYTES: Final = 65_536
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Told:
    """What a record of whatever spelling says, as far as it says it; "" and () where it does not.

    Attributes:
        notes: What was not in the one spelling, and how it was read.
    """

    identifier: str
    subject: str
    notices: tuple[str, ...]
    languages: tuple[str, ...]
    purposes: tuple[str, ...]
    controllers: tuple[str, ...]
    status: str
    at: str
    until: str
    profile: str
    notes: tuple[str, ...]


def load(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; a key named twice is refused, not silently overwritten.

    Raises:
        InvalidInput: Too long, not JSON, no object, or a key occurs twice.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidInput(f"a consent record has at most {MAX_BYTES} bytes", "check the file")
    try:
        value = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidInput("this is no JSON object", "use the file as it was given") from None
    if not isinstance(value, dict):
        raise InvalidInput("this is no JSON object", "use the file as it was given")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise InvalidInput("a key occurs twice in this file", "use the file as it was given")
    return out


def _no_number(_text: str) -> Any:  # noqa: ANN401
    raise ValueError


def read(raw: bytes) -> Told:
    """Read a record as others write it too: any spelling of the guide, and Kantara's names.

    Raises:
        InvalidInput: It is no JSON object, or nothing of a consent record is in it.
    """
    value = load(raw)
    notes: list[str] = []
    if "consentReceiptID" in value:
        return _kantara(value)
    inner = value.get("dpv:hasRecordOfActivity")
    record = _first(inner) if isinstance(inner, (list, dict)) else value
    if not isinstance(record, dict) or not any(k in record for k in _KNOWN):
        raise InvalidInput("this holds no consent record", "use the file as it was given")
    event = _event(record, notes)
    status = _status(event, record, notes)
    return Told(
        identifier=_identifier(record, notes),
        subject=_identifier(_first(record.get("dpv:hasDataSubject")), notes, quiet=True),
        notices=tuple(_name(each) for each in _list(record.get("dpv:hasNotice"))),
        languages=tuple(map(_name, _list(record.get("dct:language")))),
        purposes=tuple(
            _name(each) for p in _processes(record) for each in _list(_of(p, "hasPurpose"))
        ),
        controllers=tuple(
            _name(each) for p in _processes(record) for each in _list(_of(p, "hasDataController"))
        ),
        status=status,
        at=_when(event, record, notes),
        until=_until(event, record, notes),
        profile=_profile(record, notes),
        notes=tuple(dict.fromkeys(notes)),
    )


_KNOWN = ("dpv:hasConsentStatus", "dpv:hasProcess", "dpv:hasNotice", "dpv:hasPurpose")
_PROFILES = {
    "record", "record-eu-gdpr", "receipt", "receipt-eu-gdpr", "receipt-record",
    "dpv-27560", "dpv-27560-GDPR",
}  # fmt: skip
_GONE = {"dpv:ConsentTerminated": "dpv:ConsentRevoked"}
"""A state the guide's prose names and the vocabulary does not have."""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first(value: object) -> Any:  # noqa: ANN401
    found = _list(value)
    return found[0] if found else None


def _of(node: object, name: str) -> object:
    return node.get(f"dpv:{name}") if isinstance(node, dict) else None


def _processes(record: Mapping[str, Any]) -> list[Any]:
    return _list(record.get("dpv:hasProcess")) or [record]


def _name(node: object) -> str:
    """Return what names a node: its own text, or identifier, name, id, type in this order."""
    if isinstance(node, str):
        return node
    if isinstance(node, dict):
        for key in (
            "dct:identifier",
            "dpv:hasIdentifier",
            "dpv:hasName",
            "@id",
            "@value",
            "@type",
        ):
            if isinstance(node.get(key), str):
                return str(node[key])
    return ""


def _identifier(node: object, notes: list[str], *, quiet: bool = False) -> str:
    if not isinstance(node, dict):
        return node if isinstance(node, str) else ""
    found = _first(node.get("dct:identifier"))
    if found is None and "dpv:hasIdentifier" in node:
        notes.append("the identifier is written dpv:hasIdentifier")
        found = _first(node["dpv:hasIdentifier"])
    if found is None and not quiet:
        notes.append("it has no identifier")
    return _name(found)


def _event(record: Mapping[str, Any], notes: list[str]) -> Mapping[str, Any]:
    """Return the newest event: a node of its own, or the record's own fields."""
    found = _first(record.get("dpv:hasConsentStatus"))
    for process in _processes(record):
        found = found or _first(_of(process, "hasConsentStatus"))
    if isinstance(found, dict):
        return found
    notes.append("the event lies flat in the record")
    return {**record, "@type": _name(found)}


def _status(event: Mapping[str, Any], record: Mapping[str, Any], notes: list[str]) -> str:
    found = _name(event.get("@type") or _first(event.get("dpv:hasConsentStatus")))
    if not found:
        found = _name(_first(record.get("dpv:hasConsentStatus")))
    found = found.replace(CONTEXT["dpv"], "dpv:")
    if found in _GONE:
        notes.append(f"{found} does not exist in DPV 2.3 and is read as {_GONE[found]}")
    return _GONE.get(found, found)


def _when(event: Mapping[str, Any], record: Mapping[str, Any], notes: list[str]) -> str:
    for node in (event, record):
        for key in ("dpv:isIndicatedAtTime", "dct:date"):
            if key in node:
                at = _name(_first(node[key]))
                if key == "dct:date":
                    notes.append("the time is written dct:date")
                if not _UTC.fullmatch(at):
                    notes.append("the time names no zone, or is not UTC")
                return at
    notes.append("it has no time")
    return ""


def _until(event: Mapping[str, Any], record: Mapping[str, Any], notes: list[str]) -> str:
    for node in (event, record):
        if "dpv:hasDuration" in node:
            found = _first(node["dpv:hasDuration"])
            if isinstance(found, dict):
                return _name(found.get("rdf:value")) or _name(found)
            return _name(found)
        if "dct:valid" in node:
            notes.append("the validity is written dct:valid")
            return _name(_first(node["dct:valid"]))
    return ""


def _profile(record: Mapping[str, Any], notes: list[str]) -> str:
    found = _name(_first(record.get("dct:conformsTo")))
    short = re.split(r"[#/]", found)[-1] if found else ""
    if short not in _PROFILES:
        notes.append("it names no profile known here")
    elif short not in {"record", "receipt"}:
        notes.append(f"its profile is written {short}")
    return found


def _kantara(value: Mapping[str, Any]) -> Told:
    """Read the names of Kantara's Consent Receipt 1.1, as older products still write them."""
    services = [s for s in _list(value.get("services")) if isinstance(s, dict)]
    purposes = [p for s in services for p in _list(s.get("purposes")) if isinstance(p, dict)]
    parties = [c for c in _list(value.get("piiControllers")) if isinstance(c, dict)]
    return Told(
        identifier=str(value["consentReceiptID"]),
        subject=str(value.get("piiPrincipalId", "")),
        notices=(str(value["policyUrl"]),) if value.get("policyUrl") else (),
        languages=(str(value["language"]),) if value.get("language") else (),
        purposes=tuple(str(p.get("purpose", "")) for p in purposes),
        controllers=tuple(str(c.get("piiController", "")) for c in parties),
        status="dpv:ConsentGiven",
        at=str(value.get("consentTimestamp", "")),
        until="",
        profile="",
        notes=("its names are those of Kantara's Consent Receipt 1.1",),
    )
