"""The page about the ledger and its witnesses: how it stands, who watches, which keys sign."""

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import witnesses
from troth.capabilities.custody import OWN, Standing, Witness
from troth.surfaces import words
from troth.surfaces.web.acting import acting
from troth.surfaces.web.anchors import latest_lines
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub
from troth.terms import SECOND, Instant, Role

PATH: Final = "/console/witness"
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
STATES: Final = {
    "never": ("calm", "not asked yet", "it is asked at the next minute, while a worker runs"),
    "cosigned": ("good", "cosigned", ""),
    "silent": ("warn", "does not answer", "ask its operator; receipts wait for the others"),
    "refused": ("bad", "refuses", "see what it says, with its operator"),
    "ahead": (
        "bad",
        "holds more than this record",
        "this is an older copy of the record: stop everything, restore the newest",
    ),
}
"""State → badge, words, what to do."""
REFUSALS: Final = {
    403: "it does not know our key: give it the new one",
    404: "it does not know our ledger: ask its operator to add our key",
    409: "it holds another size than the one we continue from; it is asked again",
    413: "what we sent is too large for it",
    422: "what it holds does not continue into what we signed: two histories. Stop and look",
}
"""What a witness answered → what that means."""
KEYS: Final = {
    "signs": ("good", "signs"),
    "retired": ("calm", "signs no more"),
    "disowned": ("bad", "disowned"),
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page."""

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def shown(request: Request) -> Response:
        session = acting(hub, request, Role.IT, Role.OFFICER)
        found = witnesses.witnessed(hub.ws)
        return console_page(
            hub, request, session, "witness.html", here="witness", **told(hub, found)
        )


def told(hub: Hub, found: witnesses.Witnessed) -> dict[str, Any]:
    """Return what the page shows."""
    zone = hub.ws.settings.zone
    return {
        "found": found,
        "signed_at": words.spoken(Instant(found.at), zone) if found.at else "",
        "unsigned": found.size - found.signed,
        "rows": [_row(w, s, found.now, zone) for w, s in found.standings],
        "quorum": quorum(found),
        "keys": [_key(k) for k in found.keys],
        "anchors": latest_lines(hub)[:12],
    }


def _row(witness: Witness, standing: Standing, now: int, zone: str) -> dict[str, Any]:
    kind, said, remedy = STATES[standing.state]
    if standing.state == "refused":
        remedy = REFUSALS.get(standing.status, "its answer is not one the standard knows")
    return {
        "name": witness.name,
        "operator": "this house itself" if witness.operator == OWN else witness.operator,
        "size": standing.size,
        "at": words.spoken(Instant(standing.at), zone) if standing.at else "",
        "age": age((now - standing.at) // SECOND) if standing.at else "",
        "badge": kind,
        "state": said,
        "remedy": remedy,
    }


def age(seconds: int) -> str:
    """Say how long ago in plain words.

    >>> age(30), age(7_200), age(3 * DAY)
    ('just now', '2 hours ago', '3 days ago')
    """
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (60, "minute")):
        count = seconds // unit
        if count:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def quorum(found: witnesses.Witnessed) -> tuple[str, str, str]:
    """Say how the quorum stands: kind of banner, what is, what it means."""
    operators, needed = len(found.trust.operators), found.trust.needed
    if not operators:
        return (
            "warn",
            "Nobody outside watches yet.",
            "Receipts prove what was recorded, and rest on this house not keeping two ledgers.",
        )
    if not needed:
        return (
            "warn",
            f"{operators} outside {_operators(operators)} asked; none is required.",
            'Set quorum = "any" in [ledger] of troth.toml, and receipts will say so.',
        )
    if found.met:
        return (
            "good",
            f"Enough witnesses saw the newest head: {needed} of {operators} required.",
            "Receipts carry their signatures; a second history would need their help.",
        )
    return (
        "bad",
        f"Too few witnesses saw the newest head: {needed} of {operators} required.",
        "Receipts go on under the last head they saw, for an hour; then they say it is missing.",
    )


def _operators(count: int) -> str:
    return "operator is" if count == 1 else "operators are"


def _key(key: Any) -> dict[str, Any]:  # noqa: ANN401 - a LogKey
    kind, said = KEYS[key.state]
    until = f", up to {key.until:,} entries" if key.until is not None else ""
    return {
        "vkey": key.vkey,
        "badge": kind,
        "state": said,
        "span": f"from {key.since:,} entries{until}",
    }
