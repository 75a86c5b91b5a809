"""Where data lies: the picture, the same in words, one system's page, and where a person's is."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import datamap, doctor, scans, whereabouts
from troth.app.datamap import Map, Part
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cases import Opening, named_case, require_number
from troth.errors import Fault, InvalidInput, NotFound
from troth.surfaces import faults, words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.map_picture import COLUMNS, PART_STATES, STATES, picture
from troth.surfaces.web.parts import Hub, body_of
from troth.surfaces.web.people import whom
from troth.terms import Refusal, Role

ROLES = (Role.IT, Role.OFFICER)
CASE_MAX = 64
BADGES = {"good": "good", "bad": "bad", "unknown": "", "off": ""}
DRIFT = {
    "unmapped": "not in the mapping",
    "category_changed": "mapped as something else",
    "table_new": "a new table",
    "table_gone": "no longer there",
    "column_new": "a new column, not personal as far as seen",
    "column_gone": "mapped, and no longer there",
    "type_changed": "another type than mapped",
}
SURE = {"holds": "Lies there", "none": "Does not", "may": "May lie there"}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/map` and what lies below it."""
    _map(app, hub)
    _where(app, hub)
    _part(app, hub)


def _map(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/map", methods=READ, include_in_schema=False)
    def show(
        request: Request, category: str = "", country: str = "", processor: str = ""
    ) -> Response:
        session = acting(hub, request, *ROLES)
        held = datamap.read(hub.ws, doctor.examine(hub.ws))
        chosen = {"category": category, "country": country, "processor": processor}
        return console_page(
            hub, request, session, "map.html", here="map", **_values(hub, held, chosen)
        )

    @app.post("/console/map/scan", include_in_schema=False)
    def scan(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        name = form.get("source", "")
        scans.scan(hub.ws, name, session.actor)
        return RedirectResponse(f"/console/map/source:{name}", 303)


def _values(hub: Hub, held: Map, chosen: dict[str, str]) -> dict[str, Any]:
    shown = [each for each in held.parts if _fits(each, chosen)]
    categories = {c for each in held.parts for c in each.categories}
    return {
        "parts": {step: [p for p in shown if p.step == step] for step, _ in COLUMNS},
        "columns": COLUMNS,
        "picture": picture(shown),
        "chosen": chosen,
        "filtered": any(chosen.values()),
        "choices": _choices(held, sorted(categories)),
        "askable": _askable(hub),
        "alarms": held.alarms,
        "fault": held.fault,
        "loose": [each for each in held.parts if each.undescribed],
        "gaps": [(each.title, each.key, gap) for each in held.parts for gap in each.gaps],
        "names": {each.key: each.title for each in held.parts},
        "counts": {state: sum(1 for p in held.parts if p.state == state) for state in STATES},
        "sources": held.sources,
        "scanned": held.scans,
        **_words(hub),
    }


def _words(hub: Hub) -> dict[str, Any]:
    return {
        "states": PART_STATES,
        "check_states": STATES,
        "badges": BADGES,
        "drift_words": DRIFT,
        "title_of": datamap.title,
        "when": lambda at: words.spoken(at, hub.ws.settings.zone),
    }


def _fits(part: Part, chosen: dict[str, str]) -> bool:
    return (
        chosen["category"] in {"", *part.categories}
        and chosen["country"] in {"", part.country}
        and chosen["processor"] in {"", part.processor}
    )


def _choices(held: Map, categories: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    named = sorted((datamap.title(c), c) for c in categories)
    countries = sorted({each.country for each in held.parts if each.country})
    processors = sorted({each.processor for each in held.parts if each.processor})
    return {
        "category": [("", "All data"), *((c, said) for said, c in named)],
        "country": [("", "Any country"), *((c, c) for c in countries)],
        "processor": [("", "Anybody"), *((p, p) for p in processors)],
    }


def _askable(hub: Hub) -> list[tuple[str, str]]:
    named = sorted((datamap.title(c), c) for c in whereabouts.categories(hub.ws))
    return [("", "Everything held of them"), *((c, said) for said, c in named)]


def _where(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/map/where", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        return _answer(hub, request, acting(hub, request, *ROLES))

    @app.post("/console/map/where", include_in_schema=False)
    def answer(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        case = form.get("case", "").strip()[:CASE_MAX]
        category = form.get("category", "")
        kept: dict[str, Any] = {"case": case, "category": category}
        try:
            if not case:
                raise InvalidInput("a look needs its case", "Give its ticket number")
            if (no := may_act(hub.ws.desk, session.actor, (Role.OFFICER,))) is not None:
                return _refused(hub, request, session, no)
            require_number(case)
            whereabouts.require_category(hub.ws, category)
            person = whom(hub, form.get("address", ""), form.get("outside", "").strip())
            reason = named_case(hub.ws.desk, person, Opening(case, "phone"), session.actor)
            found = whereabouts.where(hub.ws, person, category, session.actor, reason)
        except Fault as fault:
            told = faults.sentence(fault)
            return _answer(hub, request, session, 400, fault=told, **kept)
        if isinstance(found, Refusal):
            return _refused(hub, request, session, found)
        return _answer(hub, request, session, found=found, **kept)


def _refused(hub: Hub, request: Request, session: Session, no: Refusal) -> Response:
    said = [(words.title(r.code), words.why(r.code)) for r in no.reasons]
    return _answer(hub, request, session, 403, fault="This may not be looked at", said=said)


def _answer(
    hub: Hub,
    request: Request,
    session: Session,
    code: int = 200,
    **values: Any,  # noqa: ANN401 - what a template is given
) -> Response:
    given = {"found": None, "fault": "", "said": (), "case": "", "category": "", **values}
    return console_page(
        hub, request, session, "map_where.html", code, here="map",
        askable=_askable(hub), sure=SURE, title_of=datamap.title, **given,
    )  # fmt: skip


def _part(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/map/{name}", methods=READ, include_in_schema=False)
    def show(request: Request, name: str) -> Response:
        session = acting(hub, request, *ROLES)
        held = datamap.read(hub.ws, doctor.examine(hub.ws))
        part = held.part(name)
        if part is None:
            raise NotFound("there is no such part of the map", "choose one on the map")
        source = name.removeprefix("source:") if part.kind == "source" else ""
        return console_page(
            hub, request, session, "map_part.html", here="map",
            part=part,
            step=dict(COLUMNS)[part.step],
            into=[(each, p.title) for each in part.into if (p := held.part(each))],
            whence=[(p.key, p.title) for p in held.parts if name in p.into],
            source=source if source in held.sources else "",
            found=held.scans.get(source),
            **_words(hub),
        )  # fmt: skip
