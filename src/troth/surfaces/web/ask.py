"""The one question (POPIA Form 4): the page a request for consent links to.

Reading it changes nothing, whoever or whatever reads it. Yes and no weigh the same, no channel is
ticked, and an answer is recorded once, with the notice shown beside it. Who holds the link
is taken for whom it was sent to: its token is random and kept nowhere but in the mail. An answer
sent again, or after another one, finds the page changed and is not taken.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.capabilities import preferences, rights
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent
from troth.ports import View
from troth.surfaces import words
from troth.surfaces.web.parts import Hub, body_of, form_of, page
from troth.terms import (
    Actor,
    Channel,
    ConsentStatus,
    PersonId,
    Published,
    Purpose,
    PurposeKind,
    Role,
)

READ = ["GET", "HEAD"]
PUBLIC = {"/ask/{token}": "the token of the link is the key; the answer is the person's own"}
_BOLD = re.compile(r"\*\*(.+?)\*\*")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom, and where they stand.

    Attributes:
        wanted: The purpose consent is asked for.
        ways: Channels of it that lead to this person, as (channel, in words).
        notice: The notice shown, in the version shown.
        answer: "", "yes" or "no": what stands now.
        seen: Names exactly this state; an answer given to another state is not taken.
    """

    person: PersonId
    wanted: Purpose
    ways: tuple[tuple[str, str], ...]
    notice: Published
    answer: str
    seen: str


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/ask/{token}`."""

    @app.api_route("/ask/{token}", methods=READ, include_in_schema=False)
    def ask(token: str) -> Response:
        try:
            question = read_question(hub, token)
        except NotFound:
            return page(hub, "ask.html", 404, here="", state="unknown")
        return _shown(hub, question, "answered" if question.answer else "ask")

    @app.post("/ask/{token}", include_in_schema=False)
    def answer(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        given = form_of(request.headers.get("content-type", ""), raw)
        form = {name: value.decode("utf-8", "replace") for name, value in given.items()}
        try:
            question = read_question(hub, token)
        except NotFound:
            return page(hub, "ask.html", 404, here="", state="unknown")
        try:
            choice = _choice(hub, token, question, form)
        except Conflict:
            return _shown(hub, question, "answered" if question.answer else "ask", code=409)
        if choice is None:
            return _shown(hub, question, "ask", code=400, missing=True)
        actor = Actor(Role.PERSON, question.person.hex())
        preferences.record_choice(hub.ws.desk, question.person, choice, actor)
        after = read_question(hub, token)
        return _shown(hub, after, "done", receipt=_receipt(hub, after, str(choice.status)))


def read_question(hub: Hub, token: str) -> Question:
    """Look a request's token up; changes nothing.

    Raises:
        NotFound: Unknown, expired, of a message that asks nothing, or of somebody erased since.
    """
    desk = hub.ws.desk
    unknown = NotFound("this link is not known or has expired", "ask for a fresh link")
    stop = preferences.read_token(desk, token)
    if not preferences.is_theirs(desk, stop):  # their new address is not asked by an old mail
        raise unknown
    with desk.store.look() as view:
        house = desk.house(view)
        asking = house.purposes.get(stop.purpose)
        if asking is None or asking.kind is not PurposeKind.CONSENT_REQUEST:
            raise unknown
        wanted = house.purposes.get(asking.parent)
        person = desk.keeper(view, stop.person)
        found = view.gather([person], None)
        if wanted is None or not found or found[0].record.erasing:
            raise unknown
        notice = _notice(view, wanted.name)
        if notice is None:
            raise unknown
        record = found[0].record
        held = {
            channel: consent.resolve(record, wanted, channel, view.now, house.purposes)
            for channel in sorted(wanted.channels)
        }
        ways = tuple(
            (str(channel), words.CHANNELS.get(channel, str(channel)))
            for channel in held
            if (g := view.gather([person], Channel(channel))) and g[0].contact is not None
        )
        given = any(consent.counts(each, house) for each in held.values())
        acts = [record.standings.get(consent.key(wanted.name, c)) for c in (*held, "*")]
    said = any(s is not None and (s.grant or s.deny) for s in acts)
    digest = crypto.mac(desk.vault.keys.secret("token"), msgspec.json.encode([token, acts]))
    answer = "yes" if given else "no" if said else ""
    return Question(person, wanted, ways, notice, answer, digest.hex()[:32])


def _notice(view: View, purpose: str) -> Published | None:
    """Return the newest notice that speaks of a purpose, its own before a shared one."""
    found = []
    for each in view.published_all("notice:"):
        told = msgspec.json.decode(each.data)
        if purpose in told["purposes"]:
            found.append((told["name"] == purpose, told["version"], each))
    return max(found, key=lambda f: f[:2])[2] if found else None


def _choice(
    hub: Hub, token: str, question: Question, form: Mapping[str, str]
) -> preferences.Choice | None:
    """Read an answer; None where a yes names no channel.

    Raises:
        Conflict: It answers another state than the present one.
        InvalidInput: It is no answer.
    """
    answer = form.get("answer", "")
    if answer not in {"yes", "no"}:
        raise InvalidInput("nothing was recorded: the form holds no answer", "choose yes or no")
    if not crypto.same(form.get("seen", "").encode(), question.seen.encode()):
        raise Conflict("this was answered meanwhile", "look at the page again")
    proof = f"form4:{hub.ws.desk.token_key(token).hex()}"
    label = question.notice.name.removeprefix("notice:")
    if answer == "no":
        status = ConsentStatus.WITHDRAWN if question.answer == "yes" else ConsentStatus.REFUSED
        return preferences.Choice(
            status, question.wanted.name, ("*",), notice=label, method="form4", proof=proof
        )
    ticked = tuple(channel for channel, _ in question.ways if form.get(f"by_{channel}") == "yes")
    if not ticked:
        return None
    return preferences.Choice(
        ConsentStatus.GIVEN,
        question.wanted.name,
        ticked,
        notice=label,
        method="form4",
        proof=proof,
    )


def _shown(  # noqa: PLR0913 - a page and what is on it
    hub: Hub,
    question: Question,
    state: str,
    code: int = 200,
    *,
    receipt: str = "",
    missing: bool = False,
) -> Response:
    told = msgspec.json.decode(question.notice.data)
    return page(
        hub,
        "ask.html",
        code,
        here="",
        state=state,
        question=question,
        title=question.wanted.title,
        party=_party(hub),
        notice=list(_blocks(told["text"])),
        label=question.notice.name.removeprefix("notice:"),
        receipt=receipt,
        missing=missing,
        stale=code == 409,  # noqa: PLR2004 - conflict
    )


def _party(hub: Hub) -> str:
    return f"{hub.ws.settings.title}, {hub.ws.settings.postal}"


def _blocks(text: str) -> Iterator[tuple[str, list[tuple[bool, str]]]]:
    """Split a notice's text into headings and paragraphs of plain and bold words."""
    for block in re.split(r"\n\s*\n", text.strip()):
        heading = re.match(r"#+\s+(.*)", block)
        said = heading[1] if heading else " ".join(block.split())
        parts = _BOLD.split(said)
        runs = [(bool(i % 2), part) for i, part in enumerate(parts) if part]
        yield ("heading" if heading else "text"), runs


def _receipt(hub: Hub, question: Question, status: str) -> str:
    """Return the receipt of the answer, "" where none can be written; it binds all the same."""
    try:
        note = hub.ws.sign()
        mine = rights.receipts(hub.ws.desk, question.person, note)
    except (NotFound, Unavailable):
        return ""
    return next((r.text for r in reversed(mine) if r.type == f"consent.{status}"), "")
