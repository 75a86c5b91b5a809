"""Heads of the ledger as they were shown outside, and proofs between any two of them.

What stands in the foot of a message is compared here: by whoever received it, in their browser,
from the public tiles; and, where no script runs, by the house itself, which says so.
"""

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from troth.app import witnesses
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel import ledger, proof
from troth.ports import Anchor
from troth.surfaces import words
from troth.surfaces.web import tiles
from troth.surfaces.web.parts import Hub, checkpoint, page

READ = ["GET", "HEAD"]
SHOWN: Final = 40
SCRIPTS: Final = ("verify.js", "history.js", "anchors.js")
PUBLIC = {
    "/anchors": "heads of the ledger: sizes and hashes",
    "/anchors.json": "the same for programs",
}
_DIGITS = 15


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page and its twin for programs."""

    @app.api_route("/anchors", methods=READ, include_in_schema=False)
    def shown(request: Request) -> Response:
        return page(hub, "anchors.html", here="ledger", **_page(hub, request))

    @app.api_route("/anchors.json", methods=READ, include_in_schema=False)
    def told(request: Request) -> Response:
        made = _proof(hub, request) or {"anchors": [_line(a) for a in _latest(hub)]}
        return JSONResponse(made, headers=tiles.FRESH | tiles.OPEN)


def _page(hub: Hub, request: Request) -> dict[str, Any]:
    rows = latest_lines(hub)
    found, fault = None, ""
    try:
        found = _proof(hub, request)
    except (InvalidInput, NotFound) as wrong:
        fault = wrong.message
    asked = request.query_params
    return {
        "rows": rows,
        "newest": rows[0] if rows else None,
        "proof": found,
        "fault": fault,
        "compared": _compared(hub, asked.get("size", ""), asked.get("root", "")),
        "size": asked.get("size", "")[:_DIGITS],
        "root": asked.get("root", "")[:64],
        "policy": tiles.policy_text(hub),
        "operators": hub.ws.log.trust.operators,
        "scripts": [f"/static/{name}" for name in SCRIPTS],
    }


def latest_lines(hub: Hub) -> list[dict[str, Any]]:
    """Return the newest heads as a page shows them."""
    zone = hub.ws.settings.zone
    return [{**_line(a), "when": words.spoken(a.at, zone)} for a in _latest(hub)]


def _latest(hub: Hub) -> list[Anchor]:
    """Return the newest heads, each size once, with every cosignature kept of it."""
    by: dict[tuple[str, int], Anchor] = {}
    for each in witnesses.latest_anchors(hub.ws):
        held = by.get((each.origin, each.size))
        lines = {*(held.cosignatures if held else ()), *each.cosignatures}
        first = held.at if held else each.at
        by[each.origin, each.size] = Anchor(
            each.origin, each.size, each.root, first, tuple(sorted(lines))
        )
    return sorted(by.values(), key=lambda a: (a.at, a.size), reverse=True)[:SHOWN]


def _line(anchor: Anchor) -> dict[str, Any]:
    names = sorted({line.split(" ")[1] for line in anchor.cosignatures if line.count(" ") > 1})
    return {
        "origin": anchor.origin,
        "size": anchor.size,
        "root": proof.b64(anchor.root),
        "at": anchor.at,
        "witnesses": names,
    }


def _whole(text: str) -> int | None:
    ok = text.isascii() and text.isdigit() and len(text) < _DIGITS
    return int(text) if ok else None


def _proof(hub: Hub, request: Request) -> dict[str, Any] | None:
    """Prove that one size continues another, None where none was asked for.

    Raises:
        InvalidInput: The sizes cannot be compared.
        NotFound: The signed ledger has no such size.
    """
    given = request.query_params
    if "from" not in given and "to" not in given:
        return None
    with hub.ws.store.look() as view:
        signed = checkpoint(view.note())
        newest = signed.size if signed else 0
        old = _whole(given.get("from", ""))
        new = _whole(given["to"]) if given.get("to") else newest
        if old is None or new is None or not 1 <= old <= new:
            raise InvalidInput("give two whole numbers, the smaller one first")
        if new > newest:
            raise NotFound(f"the signed ledger has {newest} entries", "give a smaller number")
        return {
            "size1": old,
            "size2": new,
            "root1": proof.b64(ledger.tree_root(old, view.tile)),
            "root2": proof.b64(ledger.tree_root(new, view.tile)),
            "path": [proof.b64(h) for h in ledger.consistency_path(old, new, view.tile)],
        }


def _compared(hub: Hub, size: str, root: str) -> str:
    """Compare what somebody holds: same, other, later, unread; "" where nothing was given."""
    if not size and not root:
        return ""
    count = _whole(size.replace(",", "").replace(" ", ""))
    try:
        wanted = proof.unb64(root.strip().replace(" ", "+"))
    except InvalidInput:
        return "unread"
    with hub.ws.store.look() as view:
        signed = checkpoint(view.note())
        if count is None or len(wanted) != proof.HASH_BYTES:
            return "unread"
        if signed is None or count > signed.size:
            return "later"
        try:
            return "same" if ledger.tree_root(count, view.tile) == wanted else "other"
        except EvidenceBroken:
            return "other"
