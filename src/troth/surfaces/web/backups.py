"""Backups: how old, how large, checked when, what they hold; and the disaster, run while you look.

The disaster runs on a workspace of its own with invented people, in a demo alone.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth.app import backup
from troth.capabilities.custody.backup import Backup
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces import faults, words
from troth.surfaces.demo import disaster
from troth.surfaces.web.acting import acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import SECOND, Role

PATH: Final = "/console/backups"
ROLES: Final = (Role.IT, Role.OFFICER)
_STATES: Final = {
    "good": ("good", "good"),
    "bad": ("bad", "not good"),
    "unknown": ("warn", "nobody knows"),
    "off": ("off", "not asked for"),
}
_KEPT: Final = {
    "keep": "as it lies",
    "seal": "sealed under each person's own key",
    "own": "sealed under each person's own key",
    "drop": "left out",
}
_HOUR: Final = 3600 * SECOND
_SHOWN: Final = 12


@dataclass(slots=True)
class Drill:
    """The disaster of this process: at most one at a time, the newest outcome kept.

    Attributes:
        state: none, running, done or failed.
        step: Which step is under way, from 0.
    """

    state: str = "none"
    step: int = 0
    story: disaster.Story | None = None
    fault: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Begin it.

        Raises:
            Conflict: It is under way.
        """
        with self.lock:
            if self.state == "running":
                raise Conflict("the drill is under way already", "watch it on this page")
            self.state, self.step, self.fault = "running", 0, ""

    def tell(self, step: int) -> None:
        """Note which step begins."""
        self.step = step


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/backups`, and in a demo the drill."""
    drill = hub.kept["disaster"] = Drill()

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def show(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        return console_page(
            hub, request, session, "backups.html", here="backups", **_values(hub, drill)
        )

    @app.post(f"{PATH}/drill", include_in_schema=False)
    def lose(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        submitted(hub, request, raw, *ROLES)
        if not hub.report:
            raise NotFound("the drill runs in a demo", "restore a backup into an empty folder")
        drill.begin()
        threading.Thread(target=_work, args=(drill,), daemon=True).start()
        return RedirectResponse(f"{PATH}#drill", 303)


def _work(drill: Drill) -> None:
    """Run it, apart from the request that asked for it."""
    try:
        drill.story = disaster.run(house.real_micros, drill.tell)
        drill.state = "done"
    except Exception as error:  # noqa: BLE001 - the page says it; no value may reach a log
        drill.fault, drill.state = str(faults.fault_of(error)), "failed"


def _values(hub: Hub, drill: Drill) -> dict[str, Any]:
    ws, zone = hub.ws, hub.ws.settings.zone
    held = backup.list_backups(ws)
    newest = next((each for each in held if not each.gone_at), None)
    with ws.store.look() as view:
        now = view.now
    return {
        "drill": drill,
        "may_drill": bool(hub.report),
        "steps": disaster.STEPS,
        "story": drill.story if drill.state == "done" else None,
        "newest": _row(newest, zone) if newest else None,
        "age": age((now - newest.at) // _HOUR) if newest else "",
        "rows": [_row(each, zone) for each in held[:_SHOWN]],
        "more": max(0, len(held) - _SHOWN),
        "checks": [
            {"kind": _STATES[c.state][0], "state": _STATES[c.state][1], "check": c}
            for c in backup.checks(ws)
        ],
        "plan": _plan(hub),
        "holds": _holds(),
    }


def age(hours: int) -> str:
    """Say how old something is in plain words.

    >>> age(0), age(30), age(72)
    ('under an hour', '30 hours', '3 days')
    """
    if hours < 1:
        return "under an hour"
    if hours == 1:
        return "1 hour"
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"  # noqa: PLR2004 - two days


def _plan(hub: Hub) -> Mapping[str, Any]:
    try:
        plan = backup.schedule(hub.ws.settings)
    except InvalidInput as fault:
        return {"wrong": str(fault)}
    return {
        "wrong": "",
        "hours": plan.every // _HOUR,
        "named": plan.to is not None,
        "days": plan.days,
    }


def _row(each: Backup, zone: str) -> Mapping[str, Any]:
    return {
        "id": each.id,
        "at": words.spoken(each.at, zone),
        "bytes": _size(each.bytes),
        "size": each.size,
        "digest": each.digest[:16],
        "place": each.place,
        "checked": words.spoken(each.checked_at, zone) if each.checked_at else "",
        "gone": words.spoken(each.gone_at, zone) if each.gone_at else "",
    }


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"  # noqa: PLR2004 - 0.1 MB


def _holds() -> list[Mapping[str, str]]:
    """Say table by table what leaves in a backup, and why: the file it is made by."""
    return [{"name": n, "how": _KEPT[do], "why": why} for n, do, why in backup.holds()]
