"""Signals a browser sends by itself: Global Privacy Control (W3C working draft), in and out.

A signal can only opt out. Whatever is not exactly the signal is no signal.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

HEADER: Final = "sec-gpc"
WELL_KNOWN: Final = "/.well-known/gpc.json"
_OPTIONAL_SPACE: Final = " \t"
_DATE = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d))?"
)


def gpc(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> bool:
    """Tell whether a request carries the opt-out signal: a `Sec-GPC` header of exactly `1`.

    Optional space around a value is no part of it (RFC 9110 5.5), so ` 1 ` counts. Of several
    headers one is enough. A list, a parameter or any other value is ignored.

    >>> gpc({"Sec-GPC": "1"}), gpc({"sec-gpc": "true"}), gpc([("Sec-GPC", "0"), ("Sec-GPC", "1")])
    (True, False, True)
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return any(
        name.lower() == HEADER and value.strip(_OPTIONAL_SPACE) == "1" for name, value in pairs
    )


@dataclass(frozen=True, slots=True)
class Support:
    """What a site says of itself at `/.well-known/gpc.json`.

    Attributes:
        gpc: Whether it honours the signal; None where that is not known.
        last_update: RFC 3339 date or date-time, or "".
    """

    gpc: bool | None
    last_update: str = ""


UNKNOWN: Final = Support(None)


def read_support(content_type: str, body: bytes) -> Support:
    """Read a site's statement; anything out of form leaves its support unknown.

    >>> read_support("application/json", b'{"gpc": true, "lastUpdate": "2026-11-17"}')
    Support(gpc=True, last_update='2026-11-17')
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return UNKNOWN
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return UNKNOWN
    if not isinstance(told, dict) or not isinstance(told.get("gpc"), bool):
        return UNKNOWN
    updated = told.get("lastUpdate", "")
    if updated and not (isinstance(updated, str) and _DATE.fullmatch(updated)):
        return UNKNOWN
    return Support(told["gpc"], updated)


def support_statement(last_update: str) -> bytes:
    """Write our own statement, served as `application/json`: the signal is honoured.

    >>> support_statement("2026-11-17")
    b'{"gpc":true,"lastUpdate":"2026-11-17"}'
    """
    return json.dumps(
        {"gpc": True, "lastUpdate": last_update}, separators=(",", ":"), sort_keys=True
    ).encode()
