"""Forms and the PAIA manual: pages for anybody, without signing in.

A form can be filled in here and printed; nothing of that is kept. Where the visitor is in by their
own address, the filled form becomes a request; else the page says how to prove the address.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import app as house
from troth.engines import forms
from troth.engines.forms import Form
from troth.errors import NotFound, Unavailable
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import (
    READ,
    Done,
    finished,
    portal_page,
    submitted,
    tongue,
    whoever,
)
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.parts import Hub, body_of, form_of

PUBLIC = {
    "/forms": "forms the law names: anybody may have them",
    "/forms/{name}": "a blank form; what is filled in is given back as a file and not kept",
    "/forms/{name}/{file}": "a blank form as a file",
    "/paia-manual": "the manual the law wants public",
    "/paia-manual/{number}": "an earlier version of it",
    "/paia-manual/{number}/{file}": "the same as a file",
}
REQUESTS: Final = "/my/requests"
_SENT: Final = {
    "objection": N_("Your objection counts from now on, and your request is open."),
    "correction": N_("Your request for correction is open."),
    "deletion": N_("Your request for deletion is open."),
    "access": N_("Your request for access is open."),
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/forms` and `/paia-manual`."""
    _add_manual(app, hub)

    @app.api_route("/forms", methods=READ, include_in_schema=False)
    def listing(request: Request) -> Response:
        held = [house.company_form(hub.ws, name) for name in house.FORMS]
        return portal_page(hub, request, whoever(hub, request), "my_forms.html", forms=held)

    @app.api_route("/forms/{name}", methods=READ, include_in_schema=False)
    def blank(name: str, request: Request) -> Response:
        return _page(hub, request, house.company_form(hub.ws, name), {})

    @app.api_route("/forms/{name}/{file}", methods=READ, include_in_schema=False)
    def paper(name: str, file: str) -> Response:
        if file != f"{name}.pdf":
            raise NotFound("there is no such file", "take the form as PDF")
        return _file(house.form_paper(hub.ws, name, {}), name)

    @app.post("/forms/{name}", include_in_schema=False)
    def filled(name: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        own_page(request)
        given = _given(request, raw)
        asked = house.company_form(hub.ws, name)
        if given.get("do") == "paper":
            return _file(house.form_paper(hub.ws, name, given), name)
        return _send(hub, request, raw, asked, forms.taken(asked, given))


def _given(request: Request, raw: bytes) -> dict[str, str]:
    form = form_of(request.headers.get("content-type", ""), raw)
    return {name: value.decode("utf-8", "replace") for name, value in form.items()}


def _send(
    hub: Hub, request: Request, raw: bytes, asked: Form, answers: Mapping[str, str]
) -> Response:
    """Open the request where it is known who asks; else keep nothing and say how."""
    lacking = forms.missing(asked, answers)
    if whoever(hub, request) is None or asked.right == "consent":
        return _page(hub, request, asked, answers, unknown=True)
    if lacking:
        return _page(hub, request, asked, answers, lacking=[each.name for each in lacking])
    visit, _ = submitted(hub, request, raw)
    entered = house.EnteredForm(asked.name, answers, proven=True, given_by=visit.given_by)
    try:
        done = house.enter_form(hub.ws, visit.person, entered, visit.actor)
    except Unavailable as fault:
        return _page(hub, request, asked, answers, fault=str(fault))
    hub.ws.sign()
    there = any(getattr(r, "path", "") == REQUESTS for r in request.app.routes)
    said = Done(visit.gettext(_SENT[done.right]))
    return finished(visit, REQUESTS if there else "/forms", said)


def _page(
    hub: Hub,
    request: Request,
    asked: Form,
    answers: Mapping[str, str],
    **values: Any,  # noqa: ANN401
) -> Response:
    lacking = values.get("lacking", ())
    code = 400 if lacking or values.get("fault") else 200
    given = {"lacking": (), "unknown": False, "fault": "", **values}
    return portal_page(
        hub,
        request,
        whoever(hub, request),
        "my_form.html",
        code=code,
        form=asked,
        answers=answers,
        **given,
    )


def _file(raw: bytes, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.pdf"'}
    return Response(raw, media_type="application/pdf", headers=headers)


# The manual


def _add_manual(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/paia-manual", methods=READ, include_in_schema=False)
    def newest(request: Request) -> Response:
        return _manual(hub, request, 0)

    @app.api_route("/paia-manual/{number}", methods=READ, include_in_schema=False)
    def earlier(number: int, request: Request) -> Response:
        return _manual(hub, request, number)

    @app.api_route("/paia-manual/{number}/{file}", methods=READ, include_in_schema=False)
    def paper(number: int, file: str, request: Request) -> Response:
        held = next((p for p in house.manuals(hub.ws) if p.version == number), None)
        if held is None or file != "paia-manual.pdf":
            raise NotFound("there is no such version of the manual", "open /paia-manual")
        made = house.manual_paper(held)
        return _file(house.render(made, "pdf", tongue(hub, request).moment), "paia-manual")


def _manual(hub: Hub, request: Request, number: int) -> Response:
    every = house.manuals(hub.ws)
    held = next((p for p in reversed(every) if number in {0, p.version}), None)
    if number and held is None:
        raise NotFound("there is no such version of the manual", "open /paia-manual")
    return portal_page(
        hub,
        request,
        whoever(hub, request),
        "my_manual.html",
        paper=house.manual_paper(held) if held else None,
        held=held,
        versions=[(p.version, p.at) for p in reversed(every)],
    )
