"""The check anybody can make: a page without login, and the same as one file for a disk.

All of it happens in the browser; the company's part is to hand out words, key and script.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fastapi import FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.kernel import events, proof
from troth.kernel.facts import House
from troth.surfaces import words
from troth.surfaces.portal import said
from troth.surfaces.portal.catalogue import N_, Tongue
from troth.surfaces.portal.frame import portal_page, tongue
from troth.surfaces.timeline_words import REQUEST_ACTS, RIGHTS, STATES
from troth.surfaces.web import tiles
from troth.surfaces.web.parts import Hub, static_files

READ = ["GET", "HEAD"]
SCRIPTS: Final = ("verify.js", "history.js", "receipts.js")
"""In the order they need each other."""
PUBLIC = {
    "/verify": "checks what somebody brings, in their own browser",
    "/verify/receipt-check.html": "the same page as a file: words, script, the public key",
}
LABELS: Final[Sequence[tuple[str, str]]] = (
    ("type", N_("What happened")),
    ("at", N_("When")),
    ("n", N_("Number in the person's own record")),
    ("field:purpose", N_("What for")),
    ("field:status", N_("Answer")),
    ("field:channels", N_("Channels")),
    ("field:channel", N_("Channel")),
    ("field:action", N_("Asked for")),
    ("field:basis", N_("Allowed by")),
    ("field:categories", N_("Data")),
    ("field:fields", N_("Data")),
    ("field:level", N_("How personal")),
    ("field:notice", N_("Notice shown")),
    ("field:given_by", N_("Acted")),
    ("field:until", N_("Until")),
    ("field:act", N_("Step")),
    ("field:right", N_("Request")),
    ("field:count", N_("Entries")),
    ("field:scope", N_("About")),
    ("field:reason", N_("Reason")),
    ("field:request", N_("Number of the request")),
    ("field:subject", N_("Whom it was about, as a code")),
    ("field:keys", N_("Keys destroyed")),
    ("field:not_covered", N_("What it could not reach")),
)
ALONE: Final = (
    "body{margin:0;font:17px/26px system-ui,sans-serif}main{max-width:680px;margin:0 auto;"
    "padding:24px 16px}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:14px}"
    "label{display:block;font-weight:600}input,textarea{width:100%;box-sizing:border-box;"
    "font:inherit;margin:4px 0 16px;min-height:44px}.button,button{min-height:48px;"
    "font:inherit;padding:8px 20px}.note{border-left:6px solid;padding:12px 16px;margin:0 0 16px}"
    ".note p{margin:0}.note-good{border-color:#1a7f4b}.note-bad{border-color:#b3261e}"
    ".note-calm{border-color:#8a6d00}dt{font-weight:600}dd{margin:0 0 8px}"
    "[hidden]{display:none!important}"
)
"""The little the file on a disk needs to be readable; it wears nobody's colours."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the public check."""

    @app.api_route("/verify", methods=READ, include_in_schema=False)
    def check(request: Request) -> Response:
        return portal_page(
            hub, request, None, "public_verify.html", scripts=SCRIPTS,
            policy=tiles.policy_text(hub), words=vocabulary(hub, tongue(hub, request)),
        )  # fmt: skip

    @app.api_route("/verify/receipt-check.html", methods=READ, include_in_schema=False)
    def file(request: Request) -> Response:
        answer = alone(hub, request)
        answer.headers["content-disposition"] = 'attachment; filename="receipt-check.html"'
        return answer


def alone(hub: Hub, request: Request) -> Response:
    """Write the check as one file; it runs from a disk and may ask this ledger alone."""
    script = "\n".join(static_files()[name].decode() for name in SCRIPTS)
    ledger = hub.ws.settings.base_url.rstrip("/") + "/"
    rules = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(ALONE)};"
        f" connect-src {ledger}; base-uri 'none'; form-action 'none'"
    )
    speaks = tongue(hub, request)
    with hub.ws.store.look() as view:
        note, now = view.note() or "", view.now
    return portal_page(
        hub, request, None, "public_receipt_check.html",
        policy=tiles.policy_text(hub), words=vocabulary(hub, speaks), note=note, rules=rules,
        ledger=ledger, made=speaks.day(now), script_text=Markup(script),  # noqa: S704 - ours
        style_text=Markup(ALONE),  # noqa: S704 - ours
    )  # fmt: skip


def _hash(text: str) -> str:
    return f"'sha256-{proof.b64(crypto.sha256(text.encode()))}'"


def vocabulary(hub: Hub, speaks: Tongue) -> list[tuple[str, str]]:
    """Return what a receipt's codes are in words, for the browser."""
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view) if view.published("house") else None
    return [(key, speaks.gettext(text)) for key, text in _words(house)]


def _words(house: House | None) -> Iterable[tuple[str, str]]:
    yield from LABELS
    for tag in events.FAMILIES:
        text = words.EVENTS.get(tag) or STATES.get(tag.removeprefix("consent."))
        if text:
            yield tag, text
    yield from _PUBLIC.items()
    tables = (said.CHANNELS, said.USES, said.GROUNDS, RIGHTS, _PLAIN)
    for table in tables:
        for code, text in table.items():
            yield f"value:{code}", text
    for act in REQUEST_ACTS:
        yield f"value:{act}", act
    for name, purpose in house.purposes.items() if house else ():
        yield f"value:{name}", purpose.title


_PUBLIC: Final = {"erase.done": N_("An erasure was carried out")}
_PLAIN: Final = {
    "*": N_("every channel"),
    "self": N_("yourself"),
    "competent_person": N_("a parent or guardian"),
    "authorised_agent": N_("somebody you authorised"),
    "staff": N_("a member of staff for you"),
    "send": N_("to send"),
    "read": N_("to read"),
    "share": N_("to hand on"),
    "export": N_("to export"),
    "profile": N_("to rank"),
    "personalise": N_("to personalise"),
    "train": N_("to learn from"),
}
