"""SCIM 2.0 (RFC 7643, RFC 7644), as little as a directory needs to end accounts on time.

It speaks for ids listed in `troth.toml` and no others, knows an id and whether it may sign in, and
keeps nothing else of what it is sent. Its key opens nothing but this.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from troth.app import leavers
from troth.capabilities import access
from troth.errors import Conflict, Fault
from troth.surfaces.web.parts import STATUS, Hub, body_of
from troth.surfaces.web.scim_words import (
    ERROR,
    LIST,
    PATCH,
    USER,
    config_of,
    schemas,
    types,
)
from troth.surfaces.web.signin import site
from troth.terms import zulu

ROOT: Final = "/scim/v2"
MEDIA: Final = "application/scim+json"
PAGE_MAX: Final = 200
OPS_MAX: Final = 100
_FILTER = re.compile(r'\s*(username|id)\s+eq\s+("(?:[^"\\]|\\.){0,400}")\s*', re.IGNORECASE)
_BEARER = re.compile(r"(?i:bearer) +([!-~]{1,200})")


class Refused(Exception):  # noqa: N818 - not a fault: SCIM names its own
    """An answer in the form of RFC 7644 section 3.12."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        """Keep what is answered; the detail never repeats what was sent."""
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add what a directory may ask and tell."""
    _discovery(app, hub)
    _reading(app, hub)
    _telling(app, hub)

    def nothing(rest: str, request: Request) -> Response:
        return answered(hub, request, lambda: _missing(rest))

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):  # each an operation of its own
        app.add_api_route(
            ROOT + "/{rest:path}", nothing, methods=[method], include_in_schema=False
        )


def _missing(rest: str) -> Response:
    """Answer what no other route takes: an address of ours that is asked wrongly, or none."""
    if rest.partition("/")[0] in {"ServiceProviderConfig", "ResourceTypes", "Schemas", "Users"}:
        raise Refused(405, "this address does not take that")
    raise Refused(404, "there is no such resource")


def answered(hub: Hub, request: Request, run: Callable[[], Response]) -> Response:
    """Answer the holder of the feed's key; everything that goes wrong in SCIM's own form."""
    try:
        _trusted(hub, request)
        return run()
    except Refused as told:
        return _error(told.status, told.detail, told.kind)
    except Conflict as fault:
        return _error(409, fault.message, "uniqueness")
    except Fault as fault:
        kind = "invalidValue" if fault.code == "invalid" else ""
        return _error(STATUS.get(fault.code, 500), fault.message, kind)


def _trusted(hub: Hub, request: Request) -> None:
    given = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if given is None or not access.is_feed_key(hub.kept["office"], given[1]):
        raise Refused(401, "the key of the directory's feed is needed: troth staff scim-key")


def _error(status: int, detail: str, kind: str) -> Response:
    body = {"schemas": [ERROR], "status": str(status), "detail": detail}
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}  # noqa: PLR2004 - its name
    return _said({**body, **({"scimType": kind} if kind else {})}, status, headers)


def _said(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse(dict(body), status, dict(headers or {}), MEDIA)


def _discovery(app: FastAPI, hub: Hub) -> None:
    def listed(name: str, every: Callable[[str], list[dict[str, Any]]]) -> None:
        @app.api_route(f"{ROOT}/{name}", methods=["GET"], include_in_schema=False)
        def all_of(request: Request) -> Response:
            return answered(hub, request, lambda: _listed(request, every(_base(hub, request))))

        @app.api_route(f"{ROOT}/{name}/{{ident}}", methods=["GET"], include_in_schema=False)
        def one(ident: str, request: Request) -> Response:
            def found() -> Response:
                for each in every(_base(hub, request)):
                    if each["id"] == ident:
                        return _said(each)
                raise Refused(404, "there is no such resource")

            return answered(hub, request, found)

    listed("ResourceTypes", types)
    listed("Schemas", schemas)

    @app.api_route(f"{ROOT}/ServiceProviderConfig", methods=["GET"], include_in_schema=False)
    def config(request: Request) -> Response:
        return answered(hub, request, lambda: _said(config_of(_base(hub, request), PAGE_MAX)))


def _base(hub: Hub, request: Request) -> str:
    return f"{site(hub, request).origin}{ROOT}"


def _listed(request: Request, every: list[dict[str, Any]]) -> Response:
    """Answer with discovery's own list; it is whole and takes no filter (RFC 7644 section 4)."""
    if "filter" in request.query_params:
        raise Refused(403, "this list takes no filter")
    return _said(_page(every, 1, len(every)))


def _page(every: list[Any], start: int, count: int) -> dict[str, Any]:
    shown = every[start - 1 : start - 1 + count]
    return {
        "schemas": [LIST],
        "totalResults": len(every),
        "startIndex": start,
        "itemsPerPage": len(shown),
        "Resources": shown,
    }


# Users


def _reading(app: FastAPI, hub: Hub) -> None:
    office: access.Office = hub.kept["office"]

    @app.api_route(f"{ROOT}/Users", methods=["GET"], include_in_schema=False)
    def users(request: Request) -> Response:
        def found() -> Response:
            told, wanted = request.query_params, _wanted(request.query_params.get("filter"))
            base = _base(hub, request)
            every = [_user(u, base) for u in access.told_of(office) if wanted(u)]
            start = max(1, _number(told.get("startIndex"), 1))
            count = min(PAGE_MAX, max(0, _number(told.get("count"), PAGE_MAX)))
            return _said(_page(every, start, count))

        return answered(hub, request, found)

    @app.api_route(f"{ROOT}/Users/{{ident}}", methods=["GET"], include_in_schema=False)
    def user(ident: str, request: Request) -> Response:
        def found() -> Response:
            return _said(_user(access.told(office, ident), _base(hub, request)))

        return answered(hub, request, found)


def _wanted(text: str | None) -> Callable[[access.Told], bool]:
    if text is None:
        return lambda _user: True
    found = _FILTER.fullmatch(text)
    if found is None:
        raise Refused(400, 'filters are: userName eq "…" and id eq "…"', "invalidFilter")
    try:
        value = json.loads(found[2])
    except ValueError:
        raise Refused(400, "the filter's value does not read", "invalidFilter") from None
    named = found[1].lower() == "username"
    return lambda user: (user.name if named else user.id) == value


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not re.fullmatch(r"-?[0-9]{1,9}", text, re.ASCII):
        raise Refused(400, "startIndex and count are numbers", "invalidValue")
    return int(text)


def _user(user: access.Told, base: str) -> dict[str, Any]:
    return {
        "schemas": [USER],
        "id": user.id,
        "userName": user.name,
        "active": user.active,
        "meta": {
            "resourceType": "User",
            "created": zulu(user.made),
            "location": f"{base}/Users/{user.id}",
        },
    }


def _telling(app: FastAPI, hub: Hub) -> None:
    body = Annotated[bytes, Depends(body_of)]

    @app.post(f"{ROOT}/Users", include_in_schema=False)
    def add(request: Request, raw: body) -> Response:
        return answered(hub, request, lambda: _add(hub, request, raw))

    @app.put(f"{ROOT}/Users/{{ident}}", include_in_schema=False)
    def replace(ident: str, request: Request, raw: body) -> Response:
        return answered(hub, request, lambda: _replace(hub, request, ident, raw))

    @app.patch(f"{ROOT}/Users/{{ident}}", include_in_schema=False)
    def patch(ident: str, request: Request, raw: body) -> Response:
        return answered(hub, request, lambda: _patch(hub, request, ident, raw))

    @app.delete(f"{ROOT}/Users/{{ident}}", include_in_schema=False)
    def drop(ident: str, request: Request) -> Response:
        return answered(hub, request, lambda: _drop(hub, ident))


def _add(hub: Hub, request: Request, raw: bytes) -> Response:
    told = _object(raw, USER)
    name, wish = _name(told), _wish(told["active"])
    try:
        made = access.tell(hub.kept["office"], name, wish, leavers.ends(hub.ws, access.DIRECTORY))
    except access.NotTheirs as fault:
        raise Refused(403, fault.message) from None
    if made is None:
        raise Refused(403, "nobody of this id is listed under [roles]")
    shown = _user(made, _base(hub, request))
    return _said(shown, 201, {"location": shown["meta"]["location"]})


def _replace(hub: Hub, request: Request, ident: str, raw: bytes) -> Response:
    user, told = access.told(hub.kept["office"], ident), _object(raw, USER)
    if _name(told) != user.name:
        raise Refused(400, "userName does not change", "mutability")
    now = "active" if user.active else "suspended"
    return _turned(hub, request, user, _wish(told["active"]) if told["said"] else now)


def _patch(hub: Hub, request: Request, ident: str, raw: bytes) -> Response:
    user = access.told(hub.kept["office"], ident)
    return _turned(hub, request, user, _patched(user, _object(raw, PATCH)))


def _drop(hub: Hub, ident: str) -> Response:
    office: access.Office = hub.kept["office"]
    access.drop(office, access.told(office, ident), leavers.ends(hub.ws, access.DIRECTORY))
    return Response(status_code=204)


def _turned(hub: Hub, request: Request, user: access.Told, wish: str) -> Response:
    if wish == "suspended" or not user.active:
        try:
            user = access.turn(
                hub.kept["office"], user, wish, leavers.ends(hub.ws, access.DIRECTORY)
            )
        except access.NotTheirs as fault:
            raise Refused(403, fault.message) from None
    return _said(_user(user, _base(hub, request)))


def _object(raw: bytes, schema: str) -> dict[str, Any]:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON", "invalidSyntax") from None
    if not isinstance(told, dict):
        raise Refused(400, "the body is no object", "invalidSyntax")
    named = {key.lower(): value for key, value in told.items()}
    listed = named.get("schemas")
    if not isinstance(listed, list) or schema not in listed:
        raise Refused(400, f"schemas must name {schema}", "invalidSyntax")
    return {"userName": named.get("username"), "active": named.get("active", True),
            "said": "active" in named, "Operations": named.get("operations")}  # fmt: skip


def _name(told: Mapping[str, Any]) -> str:
    name = told.get("userName")
    if not isinstance(name, str) or not name:
        raise Refused(400, "userName is missing", "invalidValue")
    return name


def _wish(value: Any) -> str:  # noqa: ANN401 - JSON of somebody else
    """Read `active`; some directories write it as text."""
    text = value.lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return "active"
    if text is False or text == "false":
        return "suspended"
    raise Refused(400, "active is true or false", "invalidValue")


def _patched(user: access.Told, told: Mapping[str, Any]) -> str:
    """Return what all operations together wish; what is kept of nobody is not looked at."""
    listed = told["Operations"]
    if not isinstance(listed, list) or not 0 < len(listed) <= OPS_MAX:
        raise Refused(400, "Operations are missing, or too many", "invalidSyntax")
    wish = "active" if user.active else "suspended"
    for each in listed:
        for path, value in _changes(each):
            if path == "active":
                wish = _wish(value)
            elif path == "username" and value != user.name:
                raise Refused(400, "userName does not change", "mutability")
            elif path in {"id", "meta", "schemas"}:
                raise Refused(400, "this attribute is read-only", "mutability")
    return wish


def _changes(operation: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - JSON of somebody else
    told = {k.lower(): v for k, v in operation.items()} if isinstance(operation, dict) else {}
    op, path, value = (told.get(name) for name in ("op", "path", "value"))
    if not isinstance(op, str) or op.lower() not in {"add", "replace", "remove"}:
        raise Refused(400, "op is add, replace or remove", "invalidSyntax")
    if not isinstance(path, str | None):
        raise Refused(400, "a path is no text", "invalidPath")
    named = (path or "").lower().removeprefix(f"{USER}:".lower())
    if op.lower() == "remove":
        if not named:
            raise Refused(400, "remove names a path", "noTarget")
        if named in {"active", "username", "id", "meta", "schemas"}:
            raise Refused(400, "this attribute is required", "mutability")
        return []
    if named:
        return [(named, value)]
    if not isinstance(value, dict):
        raise Refused(400, "without a path the value is an object", "invalidValue")
    return [(key.lower().removeprefix(f"{USER}:".lower()), held) for key, held in value.items()]
