"""Correct what is held: each value with its source, changed after one look at what follows.

The old value is kept nowhere but in this visit, for an undo. A new e-mail address or number is
proven first; a child's age and what no code can reach is a question for the privacy team.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import Workspace, address_proof, correcting
from troth.app.owndata import Eyes
from troth.capabilities import rights
from troth.capabilities.outreach import Letter
from troth.capabilities.rights.correcting import Why, cleaned
from troth.capabilities.rights.package_words import FIELDS
from troth.engines import contact as addresses
from troth.errors import Conflict, InvalidInput, Unavailable
from troth.surfaces.portal import said
from troth.surfaces.portal.catalogue import LANGUAGES, N_
from troth.surfaces.portal.frame import (
    Done,
    Visit,
    finished,
    portal_page,
    stay,
    submitted,
    visiting,
)
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Channel

READ = ["GET", "HEAD"]
HERE: Final = "/my/correct"
PROVE: Final = "prove_address"
"""Under this name the hub keeps what sends a code to a new address."""
PENDING: Final = "address"
FOLLOWS: Final[Mapping[str, str]] = {
    "name.given": N_("Messages greet you by it from the next one on, where you agreed to that."),
    "name.family": N_("Letters and messages use it from the next one on."),
    "birth.year": N_(
        "Rules for people under 18 follow from it, and bind at once. Only the year is kept."
    ),
    "interests": N_("Messages use these from the next one on, where you agreed to that."),
    "contact.email": N_(
        "We send a code to the new address first. Where you said no, the no goes along."
    ),
    "contact.sms": N_(
        "We send a code to the new number first. Where you said no, the no goes along."
    ),
    "contact.post": N_(
        "Letters go to the new address from now on. Where you said no, the no goes along."
    ),
    "fact.language": N_("Messages and these pages use it, where we have words in it."),
    "fact.residence": N_(
        "The law of that country counts for you from the next decision on. A use may stop until "
        "you agree to it, and other deadlines may apply."
    ),
}
"""Field → what happens when it is changed."""
HINTS: Final[Mapping[str, str]] = {
    "birth.year": N_("Four digits, such as 1987."),
    "interests": N_(
        "Words with a comma between them, at most 20. Leave it empty to take all back."
    ),
    "contact.sms": N_("With country code, such as +27 ..."),
    "contact.post": N_("At most six lines."),
    "fact.residence": N_("The country's two letters, such as ZA or DE."),
}
WRONG: Final[Mapping[str, str]] = {
    "name.given": N_("This is no name: write one line of at most 100 letters."),
    "name.family": N_("This is no name: write one line of at most 100 letters."),
    "birth.year": N_("This is no year of birth: write four digits, such as 1987."),
    "interests": N_("These are too many, or one is too long: at most 20, of 40 letters each."),
    "contact.email": N_("This is no e-mail address: write it like name@shop.example."),
    "contact.sms": N_("This is no telephone number: write it with its country code."),
    "contact.post": N_("This is no postal address: write one to six lines."),
    "fact.language": N_("This is no language we know: choose one of the list."),
    "fact.residence": N_("This is no country: write its two letters, such as ZA."),
}
SAME: Final = N_("This is what we hold already.")
_LONG: Final = frozenset({"interests", "contact.post"})
_FILL: Final = {
    "name.given": "given-name", "name.family": "family-name", "birth.year": "bday-year",
    "contact.email": "email", "contact.sms": "tel", "contact.post": "street-address",
    "fact.residence": "country",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """One value on the page."""

    field: str
    title: str
    value: str
    source: str
    since: str
    differs: bool
    statement: str


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list, the change of one value, and the proof of a new address."""
    _add_change(app, hub)
    _add_proof(app, hub)


def _add_change(app: FastAPI, hub: Hub) -> None:

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def held(request: Request, field: str = "") -> Response:
        visit = visiting(hub, request)
        rows = _shown(hub, visit)
        chosen = next((row for row in rows if row.field == field), None)
        pending = visit.session.kept.get(_key(visit))
        return portal_page(
            hub, request, visit, "my_correct.html", "correct",
            rows=rows, chosen=chosen, **_words(visit, field), pending=pending, step="list",
            plain=_plain(field, chosen.value) if chosen else "",
        )  # fmt: skip

    @app.post(HERE, include_in_schema=False)
    def change(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        field, text = form.get("field", ""), form.get("value", "")
        if field not in FOLLOWS:
            raise InvalidInput("this cannot be corrected here", "ask for a correction")
        rows = {row.field: row for row in _shown(hub, visit)}
        try:
            shown = _clean(hub, field, text)
            if form.get("sure") == "yes":
                return _change(hub, visit, rows[field], shown, form)
        except InvalidInput:
            return _again(hub, request, visit, rows[field], text, WRONG[field])
        except Conflict:
            return _again(hub, request, visit, rows[field], text, SAME)
        return _check(hub, request, visit, rows[field], shown, "check")


def _add_proof(app: FastAPI, hub: Hub) -> None:
    @app.api_route(f"{HERE}/question", methods=READ, include_in_schema=False)
    def question(request: Request, field: str = "") -> Response:
        visit = visiting(hub, request)
        found = visit.session.kept.get(_asked(visit, field))
        rows = {row.field: row for row in _shown(hub, visit)}
        if found is None or field not in rows:
            return RedirectResponse(HERE, 303)
        return _check(hub, request, visit, rows[field], *found)

    @app.post(f"{HERE}/ask", include_in_schema=False)
    def ask(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        field = form.get("field", "")
        if field not in FOLLOWS:
            raise InvalidInput("this cannot be corrected here", "ask for a correction")
        text = _clean(hub, field, form.get("value", ""))
        correcting.ask_the_desk(hub.ws, visit.eyes, field, text, visit.given_by)
        told = visit.gettext("The privacy team has your request and answers you. See “Requests”.")
        return finished(visit, HERE, Done(told))

    @app.post(f"{HERE}/code", include_in_schema=False)
    def prove(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        pending: correcting.Pending | None = visit.session.kept.get(_key(visit))
        if pending is None or form.get("stop"):
            visit.session.kept.pop(_key(visit), None)
            return RedirectResponse(HERE, 303)
        try:
            done = correcting.finish_move(
                hub.ws, visit.eyes, pending, form.get("code", ""), visit.given_by
            )
        except InvalidInput:
            wrong = visit.gettext("That is another code. Look at the newest message.")
            return portal_page(
                hub, request, visit, "my_correct.html", "correct", 400,
                rows=[], chosen=None, pending=pending, step="list", plain="",
                **_words(visit, "") | {"wrong": wrong},
            )  # fmt: skip
        except Unavailable:
            visit.session.kept.pop(_key(visit), None)
            raise
        visit.session.kept.pop(_key(visit), None)
        if visit.relation == "self":
            stay(hub, visit.session)  # every other visit in their name ends
        return finished(visit, HERE, Done(_told(visit, done.field), done.n))


def _key(visit: Visit) -> str:
    return f"{PENDING}:{visit.person.hex()}"


def _asked(visit: Visit, field: str) -> str:
    return f"asked:{field}:{visit.person.hex()}"


def _shown(hub: Hub, visit: Visit) -> list[Shown]:
    return [
        Shown(
            each.field,
            visit.gettext(FIELDS[each.field]),
            _in_words(each.field, each.value),
            said.source(visit.tongue, each.source) if each.source else "",
            visit.day(each.since) if each.since and each.source else "",
            each.differs,
            each.statement,
        )
        for each in correcting.held(hub.ws, visit.eyes, visit.record)
    ]


def _in_words(field: str, value: str) -> str:
    """Return a value as it is read: interests with commas, a language by its name."""
    if field == "fact.language":
        return LANGUAGES.get(value, value)
    return value.replace(";", ", ") if field == "interests" else value


def _plain(field: str, shown: str) -> str:
    """Return a value as it is kept, from how it is read."""
    if field == "fact.language":
        return next((code for code, name in LANGUAGES.items() if name == shown), shown)
    return shown.replace(", ", ";") if field == "interests" else shown


def _words(visit: Visit, field: str) -> dict[str, Any]:
    """Return what a template needs of every step."""
    return {
        "follows": visit.gettext(FOLLOWS[field]) if field in FOLLOWS else "",
        "hint": visit.gettext(HINTS[field]) if field in HINTS else "",
        "long": field in _LONG,
        "fill": _FILL.get(field, ""),
        "options": list(LANGUAGES.items()) if field == "fact.language" else [],
        "text": "",
        "wrong": "",
    }


def _clean(hub: Hub, field: str, text: str) -> str:
    """Return a value as it would be kept; raises `InvalidInput` where it is none."""
    with hub.ws.store.look() as view:
        now, region = view.now, hub.ws.desk.house(view).seat
    if field.startswith("contact."):
        return addresses.normalise(Channel(field.removeprefix("contact.")), text, region)
    return cleaned(field, text, now)


def _again(  # noqa: PLR0913 - a form and what is wrong with it
    hub: Hub, request: Request, visit: Visit, row: Shown, text: str, wrong: str
) -> Response:
    words = _words(visit, row.field) | {"text": text, "wrong": visit.gettext(wrong)}
    return portal_page(
        hub, request, visit, "my_correct.html", "correct", 400,
        rows=[], chosen=row, pending=None, step="list", plain=text, **words,
    )  # fmt: skip


def _check(  # noqa: PLR0913 - a value and the question about it
    hub: Hub, request: Request, visit: Visit, row: Shown, text: str, step: str
) -> Response:
    words = _words(visit, row.field) | {"text": text}
    return portal_page(
        hub, request, visit, "my_correct.html", "correct",
        rows=[], chosen=row, pending=None, step=step, shown=_in_words(row.field, text), **words,
    )  # fmt: skip


def _change(hub: Hub, visit: Visit, row: Shown, text: str, form: Mapping[str, str]) -> Response:
    """Do it: at once, after a code, or as a question for the desk."""
    if row.field in correcting.PROVEN:
        return _begin_proof(hub, visit, row.field, text)
    both: set[Why] = {"copies_differ"} if form.get("copies") == "all" else set()
    answered = frozenset(both)
    how = rights.How(visit.given_by, answered)
    done = correcting.correct(hub.ws, visit.eyes, row.field, text, how)
    if isinstance(done, rights.Question):
        visit.session.kept[_asked(visit, row.field)] = (text, done.why)
        return RedirectResponse(f"{HERE}/question?field={row.field}", 303)
    undo = None
    back = _plain(row.field, row.value)
    if back and not row.differs and done.age != "minor":
        undo = (HERE, {"field": row.field, "value": back, "sure": "yes"})
    return finished(visit, HERE, Done(_told(visit, row.field), done.n, undo))


def _begin_proof(hub: Hub, visit: Visit, field: str, text: str) -> Response:
    channel = Channel(field.removeprefix("contact."))
    prove = hub.kept.get(PROVE) or _prover(visit)
    try:
        pending = correcting.begin_move(hub.ws, visit.eyes, channel, text, prove)
    except Unavailable:
        visit.session.kept[_asked(visit, field)] = (text, "no_code")
        return RedirectResponse(f"{HERE}/question?field={field}", 303)
    visit.session.kept[_key(visit)] = pending
    return RedirectResponse(HERE, 303)


def _prover(visit: Visit) -> correcting.Prove:
    """Return what sends a code by mail, in the reader's language; nothing else is sent."""

    def send(opened: Workspace, eyes: Eyes, channel: Channel, address: str, code: str) -> None:
        if channel is not Channel.EMAIL:
            correcting.nobody_proves(opened, eyes, channel, address, code)
        words = (
            visit.gettext("Somebody wants us to write to this address from now on."),
            visit.gettext("If it was you, type this code on the page you came from."),
            visit.gettext("If it was not, do nothing: without the code nothing changes."),
        )
        subject = visit.gettext("Is this address yours?")
        letter = Letter("address_confirm", subject, words, code=code, language=visit.language)
        address_proof.send_code(opened, eyes, address, letter)

    return send


def _told(visit: Visit, field: str) -> str:
    return visit.gettext(
        "%(what)s is corrected, everywhere we hold it.", what=visit.gettext(FIELDS[field])
    )
