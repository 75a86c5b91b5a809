"""Delete: what goes and what stays before it goes; days of grace or at once; a certificate after.

The certificate is the one page of this side that needs nobody to be in: whoever was erased can be
in no more. Its address is long and random, the same that was given when the deletion was asked.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request as Asking
from starlette.responses import RedirectResponse, Response

from troth.app import keys as house_keys
from troth.app import owndata, request_acts
from troth.app import requests as desk_of
from troth.capabilities import rights
from troth.capabilities.rights import certificates, clocks
from troth.capabilities.rights.certificates import Handed
from troth.capabilities.rights.requests import Asked
from troth.capabilities.rights.requests_rules import Request
from troth.engines.paper import Block as Piece
from troth.engines.paper import pdf
from troth.errors import InvalidInput, NotFound
from troth.surfaces.portal import frame, said
from troth.surfaces.portal import request_words as words
from troth.surfaces.portal.catalogue import Tongue
from troth.surfaces.portal.frame import Done, Visit, finished, portal_page, submitted, visiting
from troth.surfaces.portal.requests import require_asker
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import DAY, Instant, from_zulu

READ = ["GET", "HEAD"]
HERE: Final = "/my/delete"
PAPER: Final = "/my/certificate/{token}"
PUBLIC = {
    PAPER: "the token of the address is the key; whoever it is about can be in no more",
    PAPER + "/forget": "the token of the address is the key",
    PAPER + "/{file}": "the token of the address is the key",
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page, its check page, its acts and the certificate."""
    _add_pages(app, hub)
    _add_acts(app, hub)
    _add_certificate(app, hub)


def _add_pages(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def shown(request: Asking) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "requests")
        held = _held(hub, visit)
        return portal_page(
            hub, request, visit, "my_delete.html", "delete",
            held=_waiting(hub, visit, held) if held else None, scope=_scope(hub, visit),
            days=clocks.settings()["grace"]["days"],
        )  # fmt: skip

    @app.api_route(HERE + "/everything", methods=READ, include_in_schema=False)
    def check(request: Asking) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "requests")
        if _held(hub, visit) is not None:
            return RedirectResponse(HERE, 303)
        days = clocks.settings()["grace"]["days"]
        with hub.ws.store.look() as view:
            end = Instant(view.now + days * DAY)
        return portal_page(
            hub, request, visit, "my_delete_check.html", "delete",
            scope=_scope(hub, visit), days=days, end=visit.day(end),
            kept=clocks.settings()["keep"]["certificate_days"],
        )  # fmt: skip


def _add_acts(app: FastAPI, hub: Hub) -> None:
    @app.post(HERE + "/everything", include_in_schema=False)
    def everything(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        when = form.get("when", "")
        if when not in {"grace", "now"}:
            raise InvalidInput("nothing was deleted", "choose when it is to be done")
        asked = Asked("deletion", given_by=visit.given_by)
        made = desk_of.ask_deletion(hub.ws, visit.person, asked, visit.actor, wait=when == "grace")
        if when == "now" and made.state == "approved":
            return _now(hub, request, visit, made.id)
        if made.state == "blocked":
            text = visit.gettext("Your request is recorded. Something holds it back; see below.")
            return finished(visit, HERE, Done(text, made.steps[-1].n))
        text = visit.gettext(
            "From now on your data is only stored. It goes on %(day)s.",
            day=visit.day(made.carried_out),
        )
        undo = (HERE + "/cancel", {"request": made.id})
        return finished(visit, HERE, Done(text, made.steps[-1].n, undo))

    @app.post(HERE + "/cancel", include_in_schema=False)
    def cancel(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        which = form.get("request", "")
        require_asker(hub, visit, which)
        done = desk_of.cancel(hub.ws, visit.person, which, visit.actor)
        text = visit.gettext("Nothing is deleted. Everything is as it was before you asked.")
        return finished(visit, HERE, Done(text, done.steps[-1].n))

    @app.post(HERE + "/now", include_in_schema=False)
    def now(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        return _now(hub, request, visit, form.get("request", ""))

    @app.post(HERE + "/part", include_in_schema=False)
    def part(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        which = form.get("part", "")
        made = request_acts.delete_part(hub.ws, visit.person, which, visit.actor, visit.given_by)
        text = (
            visit.gettext("Your activity is deleted. Your account and your agreements stay.")
            if which == "activity"
            else visit.gettext("All that served marketing is deleted. Your account stays.")
        )
        return finished(visit, HERE, Done(text, made.steps[-1].n))


def _now(hub: Hub, request: Asking, visit: Visit, which: str) -> Response:
    """Erase, and lead to the certificate; whoever was erased is out."""
    desk_of.carry_out(hub.ws, visit.person, which, visit.actor)
    answer = RedirectResponse(desk_of.certificate_path(hub.ws, which), 303)
    if visit.relation == "self":
        frame.leave(hub, request, answer)
    return answer


def _held(hub: Hub, visit: Visit) -> Request | None:
    with hub.ws.store.look() as view:
        found = rights.requests_of(hub.ws.desk, view, visit.person)
    return next((r for r in found if r.right == "deletion" and r.open), None)


def _waiting(hub: Hub, visit: Visit, held: Request) -> Mapping[str, Any]:
    return {
        "id": held.id,
        "state": held.state,
        "title": visit.gettext(words.STATES[held.state]),
        "ground": visit.gettext(words.GROUNDS[held.ground])
        if held.ground in words.GROUNDS
        else "",
        "day": visit.day(held.carried_out) if held.carried_out else "",
        "path": desk_of.certificate_path(hub.ws, held.id),
    }


def _scope(hub: Hub, visit: Visit) -> Mapping[str, Any]:
    found = desk_of.scope_of(hub.ws, visit.person)
    vault = hub.ws.desk.vault
    things = [vault.category(name) for name in found.fields] + list(found.activity)
    titles = [visit.gettext(said.THINGS[c]) for c in dict.fromkeys(things) if c in said.THINGS]
    return {
        "things": titles,
        "events": visit.number(found.events),
        "held": found.held,
        "not_covered": _not_covered(visit),
    }


def _not_covered(visit: Visit) -> list[str]:
    """Return what a certificate does not cover, before it is made: its moment is not known yet."""
    moment = visit.gettext("the moment of the deletion")
    return [visit.gettext(line, at=moment) for line in words.UNCOVERED]


# The certificate


def _add_certificate(app: FastAPI, hub: Hub) -> None:
    @app.api_route(PAPER, methods=READ, include_in_schema=False)
    def paper(token: str, request: Asking) -> Response:
        try:
            made = certificates.handed(hub.ws.desk, token)
        except NotFound:
            return portal_page(
                hub, request, None, "my_certificate.html", code=404, made=None, token=token
            )
        speaks = frame.tongue(hub, request)
        answer = portal_page(
            hub, request, None, "my_certificate.html",
            made=made.data, token=token, erased=speaks.moment(from_zulu(made.data["erased_at"])),
            left=[(speaks.gettext(words.LEFT[k]), n) for k, n in made.data["left"].items()],
            uncovered=_uncovered(speaks, made.data), ending=_ending(hub, speaks, made.data),
            until=clocks.settings()["keep"]["certificate_days"],
        )  # fmt: skip
        answer.headers["cache-control"] = "no-store"
        answer.headers["referrer-policy"] = "no-referrer"
        return answer

    @app.post(PAPER + "/forget", include_in_schema=False)
    def forget(token: str, request: Asking) -> Response:
        own_page(request)
        certificates.forget(hub.ws.desk, token)
        return RedirectResponse(PAPER.format(token=token), 303)

    @app.api_route(PAPER + "/{file}", methods=READ, include_in_schema=False)
    def fetch(token: str, file: str, request: Asking) -> Response:
        made = certificates.handed(hub.ws.desk, token)
        kept = _files(hub, frame.tongue(hub, request), made).get(file)
        if kept is None:
            raise NotFound("there is no such file", "take one of those the page names")
        headers = {
            "content-disposition": f'attachment; filename="{file}"',
            "cache-control": "no-store",
        }
        return Response(kept[0], media_type=kept[1], headers=headers)


def _uncovered(speaks: Tongue, data: Mapping[str, Any]) -> list[str]:
    return [words.uncovered(speaks, line, data["erased_at"]) for line in data["not_covered"]]


def _ending(hub: Hub, speaks: Tongue, data: Mapping[str, Any]) -> str:
    """Say where the end of the person's key epoch stands now; "" where it is not known."""
    if not data.get("epoch"):
        return ""
    found = house_keys.horizon_of(hub.ws, data["epoch"])
    at = speaks.moment(found.at) if found.state else ""
    return speaks.gettext(words.ENDINGS[found.state], at=at)


def _files(hub: Hub, speaks: Tongue, made: Handed) -> Mapping[str, tuple[bytes, str]]:
    note = made.proof.partition("\n\n")[2]
    policy = hub.ws.signer.policy_for(note)
    return {
        "certificate.json": (made.paper, "application/json"),
        "certificate.proof": (made.proof.encode(), "text/plain; charset=utf-8"),
        "certificate.pdf": (_pdf(hub, speaks, made.data), "application/pdf"),
        "policy": (policy.encode(), "text/plain; charset=utf-8"),
    }


def _pdf(hub: Hub, speaks: Tongue, data: Mapping[str, Any]) -> bytes:
    """Write the certificate on paper in the reader's language; the proof is a file of its own."""
    title = speaks.gettext("Certificate of deletion")
    pieces = [
        Piece(title, "title"),
        Piece(
            speaks.gettext(
                "%(house)s deleted everything it held about the person whom the random id below"
                " stood for, and looked afterwards what was left.",
                house=hub.ws.settings.title,
            ),
            space=8,
        ),
        *_facts(speaks, data),
        *_listed(speaks, data),
        _heading(speaks.gettext("How to check this without trusting us")),
        Piece(
            speaks.gettext(
                "The files certificate.json, certificate.proof and policy belong together. The"
                " proof leads from the public entry to the signed head of the ledger; the entry"
                " names the SHA-256 of random id and salt, the counts and the time."
            ),
            space=6,
        ),
    ]
    return pdf(title, pieces, f"{hub.ws.settings.title} · {data['request']}")


def _facts(speaks: Tongue, data: Mapping[str, Any]) -> list[Piece]:
    facts = {
        speaks.gettext("Request"): data["request"],
        speaks.gettext("Deleted on"): data["erased_at"],
        speaks.gettext("Entry of the public ledger"): str(data["leaf"]),
        speaks.gettext("Salt"): data["salt"],
        speaks.gettext("Random id"): data["subject_id"],
        speaks.gettext("Keys destroyed"): str(data["keys_destroyed"]),
    }
    return [Piece(text, label=label, space=6) for label, text in facts.items()]


def _listed(speaks: Tongue, data: Mapping[str, Any]) -> list[Piece]:
    """Return what was deleted, what was found left, what is kept and what is not covered."""
    say = speaks.gettext
    deleted = [(say(words.DELETED.get(k, k)), n) for k, n in sorted(data["deleted"].items())]
    left = [(say(words.LEFT[k]), n) for k, n in data["left"].items()]
    return [
        _heading(say("Deleted rows")),
        *(Piece(str(n), label=name, space=6) for name, n in deleted),
        _heading(say("Left, when looked at afterwards")),
        *(Piece(str(n), label=name, space=6) for name, n in left),
        _heading(say("Kept")),
        *(Piece(say(words.KEPT[name]), space=6) for name in data["kept"]),
        _heading(say("Not covered")),
        *(Piece(line, space=6) for line in _uncovered(speaks, data)),
    ]


def _heading(text: str) -> Piece:
    return Piece(text, "heading", space=16, keep=True)
