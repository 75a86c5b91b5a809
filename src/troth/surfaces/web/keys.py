"""The keys: epochs on a line of time, what can be promised of their end, who could give them back.

A share of the key is never shown here: shares are made where they are kept, by the command line.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import escrow, rotating
from troth.app import keys as house_keys
from troth.capabilities.custody import epochs
from troth.errors import InvalidInput
from troth.surfaces import words
from troth.surfaces.web.acting import acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Instant, KeyEpoch, Role

PATH: Final = "/console/keys"
ROLES: Final = (Role.IT, Role.OFFICER)
SHOWN: Final = 12
"""Epochs shown, newest first."""
_PROVIDERS: Final = {
    "file": "files in the key folder of this machine",
    "keyring": "the keyring of this machine's system",
}
_STATES: Final = {
    "current": ("now", "in force"),
    "rolling": ("warn", "beginning"),
    "kept": ("warn", "kept"),
    "destroyed": ("off", "destroyed"),
}
_SHARES: Final = ("one", "two", "three", "four")
_SAID: Final = {
    "rolled": ("good", "A new epoch is in force.", "Copy the key store now."),
    "drill": ("good", "The drill is passed.", "These shares give the key in force back."),
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/keys`."""

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def show(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        said = _SAID.get(request.query_params.get("say", ""))
        return console_page(
            hub, request, session, "keys.html", here="keys", said=said, wrong="", **_values(hub)
        )

    @app.post(f"{PATH}/roll", include_in_schema=False)
    def roll(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        house_keys.roll(hub.ws, session.actor)
        house_keys.destroy_due(hub.ws, session.actor)
        hub.ws.sign()
        return RedirectResponse(f"{PATH}?say=rolled", 303)

    @app.post(f"{PATH}/drill", include_in_schema=False)
    def drill(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        texts = [text for name in _SHARES if (text := form.get(name, "").strip())]
        try:
            if not texts:
                raise InvalidInput("there is no share here", "paste each into a box of its own")  # noqa: TRY301 - shown beside the others
            escrow.recover(hub.ws.settings.folder, texts)
        except InvalidInput as fault:
            return console_page(
                hub, request, session, "keys.html", 422, here="keys", said=None,
                wrong=str(fault), **_values(hub),
            )  # fmt: skip
        return RedirectResponse(f"{PATH}?say=drill", 303)


def _values(hub: Hub) -> dict[str, Any]:
    ws = hub.ws
    held, zone, run = house_keys.standing(ws), ws.settings.zone, rotating.progress(ws)
    newest = sorted(held.epochs, key=lambda each: -each.epoch)
    return {
        "current": held.current.epoch,
        "provider": _PROVIDERS[held.care.provider],
        "promise": held.promise,
        "keep_days": held.care.keep_days,
        "touched": held.touched,
        "rows": [_row(each, zone) for each in newest[:SHOWN]],
        "bars": _bars(newest[:SHOWN], held.at),
        "more": max(0, len(newest) - SHOWN),
        "overdue": held.overdue,
        "escrow": _escrow(held, zone),
        "copied": _copied(held, zone),
        "run": run,
        "old": held.left,
        "boxes": _SHARES[: max(2, held.escrow.need if held.escrow else 2)],
    }


def _bars(shown: Sequence[KeyEpoch], now: Instant) -> list[Mapping[str, Any]]:
    """Return each epoch as a stretch of time: in force, then kept; [] while there is but one."""
    begun = [each.since or each.ended for each in shown]
    first = min(begun)
    last = max([now, *(each.destroyed or each.due for each in shown)])
    if len(shown) < 2 or last <= first:  # noqa: PLR2004 - one is no line
        return []

    def part(start: int, end: int) -> tuple[float, float]:
        at, wide = 100 * (start - first) / (last - first), 100 * (end - start) / (last - first)
        return round(min(at, 99.2), 1), round(max(wide, 0.8), 1)

    return [
        {
            "epoch": each.epoch,
            "force": part(since, each.ended or now),
            "kept": part(each.ended, each.destroyed or each.due) if each.ended else None,
            "said": _STATES[each.state][1],
        }
        for each, since in zip(shown, begun, strict=True)
    ]


def _row(each: KeyEpoch, zone: str) -> Mapping[str, Any]:
    kind, state = _STATES[each.state]
    return {
        "epoch": each.epoch,
        "kind": kind,
        "state": state,
        "began": _day(each.since, zone, "with the house"),
        "ended": _day(each.ended, zone, ""),
        "end": _end(each, zone),
    }


def _end(each: KeyEpoch, zone: str) -> str:
    if each.state == "destroyed":
        return f"{words.day(each.destroyed, zone)}: {each.method}"
    if each.state == "kept":
        return f"after {words.spoken(each.due, zone)}"
    return "no end yet"


def _day(at: Instant, zone: str, never: str) -> str:
    return words.day(at, zone) if at else never


def _escrow(held: house_keys.Standing, zone: str) -> Mapping[str, Any] | None:
    if held.escrow is None:
        return None
    return {
        "shares": held.escrow.shares,
        "need": held.escrow.need,
        "epoch": held.escrow.epoch,
        "at": words.spoken(held.escrow.at, zone),
        "stale": held.escrow.epoch != held.current.epoch,
    }


def _copied(held: house_keys.Standing, zone: str) -> Mapping[str, Any] | None:
    if held.copied is None:
        return None
    end = epochs.end_of(held.epochs, held.copied.epoch)
    return {
        "place": held.copied.place,
        "at": words.spoken(held.copied.at, zone),
        "epoch": held.copied.epoch,
        "state": "good" if held.copied.epoch == held.current.epoch else end.state,
        "until": words.spoken(end.at, zone) if end.at else "",
    }
