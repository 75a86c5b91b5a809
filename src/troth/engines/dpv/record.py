"""A consent record as a value, and the one way it is written.

A record is plain JSON with a pinned `@context`: nothing has to be fetched and no JSON-LD processor
is needed. It has no signature of its own: its SHA-256 stands in the event.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SCHEMA: Final = "iso-27560:2023/dpv-2.3/1"
"""Which writing of the record this is; a successor of the standard gets a new one."""
PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#"
RECORD, RECEIPT = f"{PROFILE}record", f"{PROFILE}receipt"
CONTEXT: Final[Mapping[str, str]] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "legal-za": "urn:troth:legal-za:",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "troth": "urn:troth:term:",
}
Encode = Callable[[Mapping[str, Any]], bytes]
"""Writes a JSON object in its one spelling; `kernel.events.canonical`."""


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation or authority named in a record.

    Attributes:
        role: A DPV term, such as `dpv:DataController`.
        contact: Where to write: an e-mail address or a page.
        address: Postal address.
    """

    role: str
    name: str
    identifier: str
    contact: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The notice version a person saw: its label, where it stays, and the hash of its bytes."""

    label: str
    url: str
    sha256: str
    language: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Where data lies, how long (ISO 8601 or words), and how it ends."""

    location: str
    duration: str
    deletion: str


@dataclass(frozen=True, slots=True)
class Process:
    """What was asked: purpose, data, parties, storage, and how to say no.

    Attributes:
        purpose: DPV term; `name` and `title` are the house's own.
        data: DPV or own terms of data categories.
        control: Where consent is withdrawn or given anew.
        rights: Terms of the rights that go with it.
        channels: By which messages come; empty for a purpose that sends none.
    """

    purpose: str
    name: str
    title: str
    data: tuple[str, ...]
    controllers: tuple[Party, ...]
    recipients: tuple[Party, ...]
    storage: Storage
    jurisdictions: tuple[str, ...]
    control: str
    rights: tuple[str, ...]
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """The act: which kind of consent, what was said, when, by whom and how.

    Attributes:
        status: DPV term, such as `dpv:ConsentGiven`.
        basis: DPV term of the kind of consent.
        at: UTC, `Z`.
        until: UTC end of a grant; "" where it has none, or until a later choice.
        by: `dpv:DataSubject`, or who acted for them.
    """

    status: str
    basis: str
    at: str
    until: str
    by: str
    method: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One consent record.

    Attributes:
        identifier: Random; names no person.
        subject: A pseudonym made for this record alone.
    """

    identifier: str
    subject: str
    notice: Shown
    process: Process
    said: Said
    schema: str = SCHEMA


def record_object(record: Record) -> dict[str, Any]:
    """Return a record as the JSON object it is written as."""
    return {
        "@context": dict(CONTEXT),
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": RECORD,
        "dct:identifier": record.identifier,
        "troth:schemaVersion": record.schema,
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": record.subject},
        "dpv:hasNotice": [
            {
                "@type": "dpv:ConsentNotice",
                "@id": record.notice.url,
                "dct:identifier": record.notice.label,
                "dct:language": record.notice.language,
                "troth:sha256": record.notice.sha256,
            }
        ],
        "dct:language": [record.notice.language],
        "dpv:hasProcess": [_process(record.process)],
        "dpv:hasConsentStatus": [_said(record.said)],
    }


def write_record(record: Record, encode: Encode) -> bytes:
    """Write a record in its one spelling."""
    return encode(record_object(record))


def write_receipt(
    identifier: str, created: str, records: Sequence[bytes], encode: Encode
) -> bytes:
    """Write the object that hands several records over (a "receipt" in the standard's words)."""
    return encode(
        {
            "@context": dict(CONTEXT),
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": RECEIPT,
            "dct:identifier": identifier,
            "dct:created": created,
            "dpv:hasRecordOfActivity": [json.loads(each) for each in records],
        }
    )


def _process(process: Process) -> dict[str, Any]:
    storage = process.storage
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [
            {"@type": process.purpose, "dct:identifier": process.name, "dct:title": process.title}
        ],
        "dpv:hasPersonalData": list(process.data),
        "dpv:hasDataController": [_party(each) for each in process.controllers],
        "dpv:hasRecipient": [_party(each) for each in process.recipients],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "rdf:value": storage.location},
            {"@type": "dpv:StorageDuration", "rdf:value": storage.duration},
            {"@type": "dpv:StorageDeletion", "rdf:value": storage.deletion},
        ],
        "dpv:hasJurisdiction": list(process.jurisdictions),
        "dpv:hasConsentControl": [
            {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": process.control}
        ],
        "dpv:hasRight": list(process.rights),
        "troth:channel": list(process.channels),
    }


def _party(party: Party) -> dict[str, Any]:
    out = {"@type": party.role, "dct:identifier": party.identifier, "dpv:hasName": party.name}
    if party.contact:
        out["dpv:hasContact"] = party.contact
    if party.address:
        out["dpv:hasAddress"] = party.address
    return out


def _said(said: Said) -> dict[str, Any]:
    if said.until:
        duration = {"@type": "dpv:UntilTimeDuration", "rdf:value": said.until}
    elif said.status in VALID:
        duration = {"@type": "dpv:EndlessDuration"}
    else:
        duration = {"@type": "dpv:UntilEventDuration", "rdf:value": "a later choice"}
    out = {
        "@type": said.status,
        "dpv:hasLegalBasis": said.basis,
        "dpv:isIndicatedAtTime": said.at,
        "dpv:hasDuration": duration,
        "dpv:isIndicatedBy": said.by,
    }
    return out | ({"dpv:hasIndicationMethod": said.method} if said.method else {})


VALID: Final = frozenset({"dpv:ConsentGiven", "dpv:RenewedConsentGiven"})
"""The only states in which consent may be relied on."""
