"""The pages that need no more than the record: hub, why not, ledger, receipt, static files."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.errors import EvidenceBroken, Fault, InvalidInput, NotFound
from troth.kernel import events, ledger, proof
from troth.kernel.desk import SYSTEM
from troth.surfaces import words
from troth.surfaces.web import chart, console, levels, tiles
from troth.surfaces.web.decisions import Answer, Ask, decide
from troth.surfaces.web.parts import Hub, body_of, checkpoint, form_of, page, static_files
from troth.terms import Action, Channel

READ = ["GET", "HEAD"]
EXAMPLE = "cast-objected"
TYPES = {"css": "text/css", "svg": "image/svg+xml", "js": "text/javascript"}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the pages."""

    @app.api_route("/", methods=READ, include_in_schema=False)
    def overview(request: Request) -> Response:
        told = {**figures(hub), "doors": console.doors(hub, request)}
        return page(hub, "hub.html", here="hub", ready=hub.kept["ready"](request), **told)

    @app.api_route("/refused", methods=READ, include_in_schema=False)
    def refused() -> Response:
        found = example(hub)
        return page(
            hub,
            "refused.html",
            here="refused",
            cells=cells(hub.report),
            k=chart.K,
            why=words.why,
            change=words.change,
            example=found,
            rules=rule_titles(hub, found),
        )

    @app.api_route("/ledger", methods=READ, include_in_schema=False)
    def book() -> Response:
        return page(hub, "ledger.html", here="ledger", **head(hub))

    @app.api_route("/receipt", methods=READ, include_in_schema=False)
    def receipt() -> Response:
        return page(
            hub, "receipt.html", here="receipt", state="ask", policy=tiles.policy_text(hub)
        )

    @app.post("/receipt", include_in_schema=False)
    def check(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form = form_of(request.headers.get("content-type", ""), raw)
        given = form.get("file", b"").strip() or form.get("text", b"").strip()
        return page(hub, "receipt.html", here="receipt", **checked(hub, given))

    @app.api_route("/static/{name}", methods=READ, include_in_schema=False)
    def static(name: str) -> Response:
        body = static_files().get(name)
        if body is None:
            raise NotFound("there is no such file", "reload the page")
        kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(body, media_type=kind, headers=tiles.FOR_EVER)

    levels.add_routes(app, hub)


def cells(report: Mapping[str, Any]) -> list[chart.Counted]:
    """Return why people were not mailed, small counts kept back."""
    return chart.masked({str(code): int(n) for code, n in report.get("refused", {}).items()})


def figures(hub: Hub) -> dict[str, Any]:
    """Return what the first page shows; without a demo, only the ledger."""
    report = hub.report
    with hub.ws.store.look() as view:
        size = view.log.size
    if not report:
        return {"report": None, "size": size}
    sent, no = int(report.get("sent", 0)), int(report.get("refused_people", 0))
    total = sent + no + int(report.get("unknown", 0)) + int(report.get("failed", 0))
    found = cells(report)
    drawn = chart.bars(sent, found, total)
    return {
        "report": report,
        "size": size,
        "sent": sent,
        "total": total,
        "seconds": round(sum(report.get("seconds", {}).values())),
        "bars": drawn,
        "height": chart.height(drawn),
        "cells": found,
        "k": chart.K,
        "common": next((c for c in found if c.count is not None), None),
    }


def head(hub: Hub) -> dict[str, Any]:
    """Return the ledger's newest signed head and how far the record went on since."""
    with hub.ws.store.look() as view:
        note, size = view.note(), view.log.size
        signed = checkpoint(note)
        public = _public(view.entries(0, min(signed.size, 2_000))) if signed else []
    return {
        "note": note or "",
        "signed": signed,
        "root": proof.b64(signed.root) if signed else "",
        "size": size,
        "origin": hub.ws.signer.origin,
        "vkey": hub.ws.signer.key.vkey,
        "operators": hub.ws.log.trust.operators,
        "needed": hub.ws.log.trust.needed,
        "public": public,
        "tile": ledger.tile_path(0, 0, min(signed.size, ledger.TILE)) if signed else "",
        "bundle": ledger.tile_path("entries", 0, min(signed.size, ledger.TILE)) if signed else "",
    }


def _public(entries: list[bytes]) -> list[str]:
    """Name the kinds of public statements among the first entries."""
    found = [events.read_canonical(e[1:]).get("type") for e in entries if e[:1] == proof.PUBLIC]
    return sorted({str(kind) for kind in found})


def checked(hub: Hub, given: bytes) -> dict[str, Any]:
    """Verify a receipt; nothing it says is returned before its proof holds."""
    if not given:
        return {"state": "ask", "hint": "Choose a file or paste the text first."}
    try:
        found = proof.read_receipt(given.replace(b"\r\n", b"\n") + b"\n", hub.ws.signer.policy)
    except (InvalidInput, EvidenceBroken) as fault:
        return {"state": "broken", "fault": fault.message}
    return {
        "state": "holds",
        "index": found.index,
        "size": found.checkpoint.size,
        "origin": found.checkpoint.origin,
        **_said(hub, found.event),
    }


def _said(hub: Hub, raw: bytes | None) -> dict[str, Any]:
    if raw is None:
        return {"event": None}
    try:
        event = events.decode(raw)
    except Fault:
        return {"event": None}
    return {
        "event": event,
        "meaning": words.EVENTS.get(event.type, event.type.replace(".", " ")),
        "when": words.spoken(event.at, hub.ws.settings.zone),
        "content": raw.decode(),
    }


def example(hub: Hub) -> Answer | None:
    """Decide, once a run, about one invented member of the cast; recorded like any decision."""
    kept: Answer | None = hub.kept.get(EXAMPLE)
    if kept is not None:
        return kept
    desk = hub.ws.desk
    with hub.ws.store.look() as view:
        if desk.find(view, EXAMPLE) is None:
            return None
    brand = hub.ws.settings.brand
    ask = Ask(SYSTEM, levels.PURPOSE, Action.SEND, Channel.EMAIL, None, brand)
    answer = hub.kept[EXAMPLE] = decide(desk, ask, [EXAMPLE])[0]
    return answer


def rule_titles(hub: Hub, found: Answer | None) -> dict[str, str]:
    """Return the title and law of each rule that objects."""
    out: dict[str, str] = {}
    with hub.ws.store.look() as view:
        ruleset = hub.ws.desk.house(view).ruleset
        for reason in found.reasons if found else ():
            try:
                rule = ruleset.rule(reason.rule, view.now)
            except NotFound:
                out[reason.rule] = "a rule of the house"
            else:
                out[reason.rule] = f"{rule.title} ({rule.law}; {rule.source})"
    return out
