"""Segments: listed, built from rows or as text, counted, checked, published, restored.

The page holds what is being written; nothing is kept until it is published. Counting is a POST:
each is an event of the house before anybody is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth import crypto
from troth.capabilities import insight
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel import audience
from troth.surfaces import segment_words as told
from troth.surfaces import words
from troth.surfaces.web import segment_form as forms
from troth.surfaces.web.acting import NotAllowed, Session, acting, own_page
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import STATUS, Hub, body_of
from troth.terms import PurposeKind, Role, moment

READERS = (Role.MARKETER, Role.OFFICER)
FIELDS_MOST = 400
NEW = "new"
_NO_NAMES = (NEW, "unnamed")
_KINDS = frozenset({PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST})
_PLACES = {"residence": "nowhere known", "language": "language unknown", "age": "age unknown"}
_AGES = {"adult": "of age", "minor": "minors"}
_SUBJECTS = {"natural": "people", "juristic": "organisations"}

Form = Mapping[str, Sequence[str]]


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/segments` and what lies under it."""

    @app.api_route("/console/segments", methods=READ, include_in_schema=False)
    def segments(request: Request) -> Response:
        session = acting(hub, request, *READERS)
        rows = [_listed(each) for each in house.segments(hub.ws)]
        return console_page(hub, request, session, "segments.html", here="segments", rows=rows)

    @app.api_route("/console/segments/new", methods=READ, include_in_schema=False)
    def new(request: Request) -> Response:
        session = acting(hub, request, Role.MARKETER)
        return _page(hub, request, session, forms.Draft(purpose=_purposes(hub)[0][0]))

    @app.api_route("/console/segments/{name}", methods=READ, include_in_schema=False)
    def segment(request: Request, name: str) -> Response:
        session = acting(hub, request, *READERS)
        wanted, version = _published(hub, name)
        return _page(hub, request, session, forms.loaded(wanted, version))

    @app.post("/console/segments/{name}", include_in_schema=False)
    def act(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = _submitted(hub, request, raw)
        return _acted(hub, request, session, (name, form))

    @app.post("/console/segments/{name}/restore", include_in_schema=False)
    def restore(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = _submitted(hub, request, raw)
        given = form.get("version", [""])[0]
        if not (given.isascii() and given.isdigit() and len(given) < 9):  # noqa: PLR2004
            raise InvalidInput("no version was named", "choose one from the history")
        house.restore_audience(hub.ws, name, int(given), session.actor)
        return RedirectResponse(f"/console/segments/{name}?done=restored", 303)


def _submitted(hub: Hub, request: Request, raw: bytes) -> tuple[Session, Form]:
    """Return who acts and the whole form: many fields, some of them more than once."""
    session = acting(hub, request, Role.MARKETER)
    own_page(request)
    try:
        form = parse_qs(
            raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MOST
        )
    except ValueError:
        raise InvalidInput("the form has too many fields", "use fewer conditions") from None
    given = form.pop("form", [""])[0]
    if not crypto.same(given.encode(), session.form.encode()):
        raise NotAllowed((Role.MARKETER,))
    return session, form


def _published(hub: Hub, name: str) -> tuple[audience.Audience, int]:
    held = house.segment_versions(hub.ws, name)
    if not held:
        raise NotFound("there is no such segment", "go back to the list")
    return insight.read(held[-1], frozenset()), held[-1].version


def _purposes(hub: Hub) -> list[tuple[str, str]]:
    with hub.ws.store.look() as view:
        purposes = hub.ws.desk.house(view).purposes
    parents = {p.parent for p in purposes.values()}
    found = sorted(
        (p.kind != PurposeKind.MARKETING or p.name in parents, not p.goods, p.title, p.name)
        for p in purposes.values()
    )
    return [(name, title) for *_, title, name in found if purposes[name].kind in _KINDS] or [
        ("", "none is published yet")
    ]


# What was asked


@dataclass(frozen=True, slots=True)
class _Said:
    """What the page answers: numbers, or what went wrong, and with which status."""

    answer: house.SegmentAnswer | None = None
    fault: Fault | None = None
    missing: bool = False
    status: int = 200


def _acted(hub: Hub, request: Request, session: Session, asked: tuple[str, Form]) -> Response:
    name, form = asked
    draft = forms.read_form(form)
    if name != NEW:
        draft = replace(draft, name=name)
    do, _, what = form.get("do", ["count"])[0].partition(":")
    try:
        if do in _CHANGES:
            return _page(hub, request, session, _CHANGES[do](draft, what, form))
        if do == "publish":
            return _publish(hub, session, draft)
        if do == "rebuild":
            house.rebuild_reach(hub.ws, session.actor)
        return _page(hub, request, session, draft, _counted(hub, session, draft))
    except Fault as fault:
        said = _Said(fault=fault, status=STATUS.get(fault.code, 500))
        if do == "publish" and isinstance(fault, InvalidInput):
            said = replace(_counted(hub, session, draft), fault=fault, status=said.status)
        return _page(hub, request, session, draft, said)


def _counted(hub: Hub, session: Session, draft: forms.Draft) -> _Said:
    try:
        wanted = house.read_segment(forms.written(replace(draft, name=draft.name or "unnamed")))
        answer = house.count_audience(hub.ws, wanted, session.actor)
        if draft.seen:
            house.note_band(hub.ws, answer)
    except NotFound as fault:
        return _Said(fault=fault, missing=True)
    except Fault as fault:
        return _Said(fault=fault)
    return _Said(answer)


def _add(draft: forms.Draft, section: str, form: Form) -> forms.Draft:
    word = form.get(f"add.{section}", [""])[0]
    if len(draft.rows) >= forms.ROWS_MOST:
        raise InvalidInput(f"a segment has at most {forms.ROWS_MOST} conditions", "remove one")
    return replace(draft, rows=(*draft.rows, forms.fresh(section, word)))


def _remove(draft: forms.Draft, stem: str, _form: Form) -> forms.Draft:
    gone = {id(row) for code in forms.SECTIONS for at, row in draft.section(code) if at == stem}
    return replace(draft, rows=tuple(row for row in draft.rows if id(row) not in gone))


def _as_text(draft: forms.Draft, _what: str, _form: Form) -> forms.Draft:
    named = replace(draft, name=draft.name or "unnamed")
    return replace(draft, text=forms.written(named) if draft.rows else _BLANK, expert=True)


def _as_rows(draft: forms.Draft, _what: str, _form: Form) -> forms.Draft:
    wanted = house.read_segment(draft.text)
    made = forms.loaded(wanted, draft.seen)
    if made.expert:
        raise InvalidInput("this segment is built as the form cannot show it", "keep it as text")
    return replace(made, name=draft.name or wanted.name)


_CHANGES = {"add": _add, "remove": _remove, "text": _as_text, "rows": _as_rows}
_BLANK = 'name = "my-segment"\npurpose = "offers"\n\n[where]\nall = [\n  { has_sale = {} },\n]\n'


def _publish(hub: Hub, session: Session, draft: forms.Draft) -> Response:
    text = forms.written(draft)
    wanted = house.read_segment(text)
    if wanted.name in _NO_NAMES:
        raise InvalidInput("this segment has no name yet", "give it one")
    if draft.name and wanted.name != draft.name:
        raise InvalidInput("the text carries another name", f"write name = “{draft.name}”")
    edition = house.Edition(text, draft.seen, draft.reason)
    house.publish_audience(hub.ws, wanted.name, edition, session.actor)
    return RedirectResponse(f"/console/segments/{wanted.name}?done=published", 303)


# What is shown


def _listed(each: house.Listed) -> dict[str, Any]:
    name = each.published.name.removeprefix(insight.PREFIX)
    return {
        "name": name,
        "version": each.published.version,
        "says": told.sentence(each.wanted) if each.wanted else each.fault,
        "purpose": each.wanted.purpose if each.wanted else "",
        "broken": each.wanted is None,
        "size": each.size.band if each.size else "not counted yet",
        "as_of": moment(each.size.at) if each.size else None,
        "verdict": told.VERDICTS.get(each.size.verdict) if each.size else None,
        "verdict_word": each.size.verdict if each.size else "",
        "used_by": [used.partition(":")[2] for used in each.used_by],
    }


def _page(
    hub: Hub,
    request: Request,
    session: Session,
    draft: forms.Draft,
    said: _Said = _Said(),
) -> Response:
    history = _history(hub, draft) if draft.seen else []
    wanted, wrong = _reads_as(draft)
    return console_page(
        hub,
        request,
        session,
        "segment.html",
        said.status,
        here="segments",
        draft=draft,
        sections=[(code, title, draft.section(code)) for code, title in forms.SECTIONS.items()],
        offered=[(w.word, w.label) for w in forms.WORDS.values()],
        purposes=_purposes(hub),
        says=told.sentence(wanted) if wanted else "",
        reads=told.reads(wanted) if wanted else [],
        note=wanted.note if wanted else "",
        said=said,
        unfinished=wrong,
        numbers=_numbers(said.answer) if said.answer else None,
        fairness=_fairness(said.answer.fairness) if said.answer else None,
        history=history,
        writes=session.actor.role is Role.MARKETER,
        done=request.query_params.get("done", ""),
    )


def _reads_as(draft: forms.Draft) -> tuple[audience.Audience | None, Fault | None]:
    try:
        text = forms.written(replace(draft, name=draft.name or "unnamed"))
        return house.read_segment(text), None
    except Fault as fault:
        return None, fault


def _history(hub: Hub, draft: forms.Draft) -> list[dict[str, Any]]:
    zone = hub.ws.settings.zone
    out = []
    for published in reversed(house.segment_versions(hub.ws, draft.name)):
        wanted = insight.read(published, frozenset())
        out.append(
            {
                "version": published.version,
                "at": words.spoken(published.at, zone),
                "says": told.sentence(wanted),
                "note": wanted.note,
                "purpose": wanted.purpose,
            }
        )
    return out


def _numbers(answer: house.SegmentAnswer) -> dict[str, Any]:
    counted = answer.counted
    if isinstance(counted, insight.Withheld):
        return {"withheld": counted}
    asked = told.conditions(answer.wanted)
    return {
        "withheld": None,
        "base": counted.base,
        "inside": _few(counted),
        "inside_people": counted.inside,
        "reachable": _or_about(counted),
        "refused": "not shown" if counted.refused is None else words.number(counted.refused),
        "reasons": [
            (words.title(code), words.why(code), n) for code, n in counted.reasons.items()
        ],
        "outside": [
            {
                "condition": asked[row.place],
                "state": told.STATES[row.state],
                "kind": row.state,
                "people": row.people,
                "share": round(100 * row.people / counted.base, 2) if row.people else 0,
            }
            for row in counted.outside
        ],
        "kept": counted.kept,
        "k": counted.k,
        "at": counted.at,
    }


def _few(counted: insight.Counted) -> str:
    if counted.few:
        return f"fewer than {counted.k}"
    return "not shown" if counted.inside is None else words.number(counted.inside)


def _or_about(counted: insight.Counted) -> str:
    if counted.reachable is not None:
        return words.number(counted.reachable)
    return f"about {words.number(counted.about)}" if counted.about else "not shown"


def _fairness(found: insight.Fairness) -> dict[str, Any]:
    kind, says = told.VERDICTS[found.verdict]
    return {
        "verdict": found.verdict,
        "kind": kind,
        "says": says,
        "stands": found.stands,
        "left_out": [
            {"what": told.READS.get(each.category, each.category), "each": each}
            for each in found.left_out
        ],
        "shares": [
            {"fact": told.FACTS[share.fact], "group": _group(share), "share": share}
            for share in found.shares
        ],
        "apart": len(found.apart),
    }


def _group(share: insight.Share) -> str:
    if not share.group:
        return _PLACES.get(share.fact, "unknown")
    named = {"age": _AGES, "subject": _SUBJECTS}.get(share.fact, {})
    return named.get(share.group, share.group)
