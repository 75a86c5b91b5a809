"""Consent records in the shape of ISO/IEC TS 27560:2023, in the words of W3C DPV 2.3.

The guide "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV" (final report of
15 February 2026) names some things in two ways. One spelling is written here; every spelling of
the guide is read.
"""

from troth.engines.dpv.code import CODE_BITS, read_code, short_code
from troth.engines.dpv.reading import MAX_BYTES, Told, load, read
from troth.engines.dpv.record import (
    CONTEXT,
    SCHEMA,
    VALID,
    Party,
    Process,
    Record,
    Said,
    Shown,
    Storage,
    record_object,
    write_receipt,
    write_record,
)
from troth.engines.dpv.schema import Finding, terms_of, validate

__all__ = [
    "CODE_BITS",
    "CONTEXT",
    "MAX_BYTES",
    "SCHEMA",
    "VALID",
    "Finding",
    "Party",
    "Process",
    "Record",
    "Said",
    "Shown",
    "Storage",
    "Told",
    "load",
    "read",
    "read_code",
    "record_object",
    "short_code",
    "terms_of",
    "validate",
    "write_receipt",
    "write_record",
]
