"""A workspace for segments: 160 invented people, made once, copied for each test."""

import atexit
import contextlib
import csv
import functools
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.testclient import TestClient

from troth import app
from troth.surfaces.demo.material import COLUMNS, write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role, instant

NOW = datetime(2026, 11, 17, 10, tzinfo=ZoneInfo("Africa/Johannesburg"))
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
PEOPLE = 160
LEVELS = (
    "",
    "",
    "identity.name;interests.declared",
    "identity.name;interests.declared;purchases.13w",
    "identity.name;interests.declared;purchases.13w;purchases.52w",
)
EVENTS = ("external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units")


def ago(days):
    return (NOW - timedelta(days=days)).isoformat()


def customer(n):
    """100 live in ZA (every third reads af), 40 in DE, 20 in CA-ON; three of four bought."""
    residence = "ZA" if n < 100 else "DE" if n < 140 else "CA-ON"
    return {
        "external_id": f"s-{n:03}", "email": f"s-{n:03}@post.example", "given_name": "Planted",
        "family_name": "Secretname", "residence": residence, "zone": "Africa/Johannesburg",
        "language": "af" if n < 100 and n % 3 == 0 else "en", "birth_year": "1980",
        "subject": "natural", "interests": "tea;garden" if n % 3 else "rooibos",
        "relation_kind": "inquiry" if n % 4 == 0 else "sale",
        "relation_at": ago(30 + n), "relation_goods": "household", "details_from_sale": "no",
        "objection_offered": "no", "source": "shop checkout",
    }  # fmt: skip


def acts(n):
    who, common = f"s-{n:03}", {"method": "button", "given_by": "self"}
    if n % 10 != 9:
        yield {
            "external_id": who, "purpose": "offers", "channels": "email", "status": "given",
            "notice": "offers@3", "occurred_at": ago(150), "proof": f"form:{n}", **common,
        }  # fmt: skip
    if categories := LEVELS[n % 5]:
        yield {
            "external_id": who, "purpose": "personalise", "status": "given",
            "notice": "personalise@2", "categories": categories, "level": str(n % 5),
            "occurred_at": ago(149), "proof": f"form:p{n}", **common,
        }  # fmt: skip


def bought(n):
    """Who bought and agreed to level 3 or 4; of everybody else only the day of a sale is known."""
    if n % 4 == 0 or n % 5 < 3:
        return
    group = "Baby care" if n % 5 == 3 else "Tea"
    yield from (
        {
            "external_id": f"s-{n:03}", "at": ago(days), "kind": "purchase", "item": "1",
            "group": group, "amount_minor": "1900", "currency": "ZAR", "units": "1",
        }
        for days in (20, 200)
    )  # fmt: skip


def _write(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


@functools.cache
def _made():
    folder = Path(tempfile.mkdtemp(prefix="troth-segments-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_drafts(folder, NOW)
    everybody = range(PEOPLE)
    _write(folder / "customers.csv", COLUMNS["customers"], map(customer, everybody))
    _write(folder / "consents.csv", COLUMNS["consents"], (a for n in everybody for a in acts(n)))
    _write(folder / "events.csv", EVENTS, (b for n in everybody for b in bought(n)))
    (folder / "registry.csv").write_text(
        f"# scheme: sha256-lower-trim\n# as-of: {ago(10)}\nhash\n" + "0" * 64 + "\n"
    )
    app.init(folder)
    ws = app.open(folder, at=instant(NOW))
    ws.apply()
    for kind in ("customers", "consents", "events", "registry"):
        app.import_file(ws, kind, folder / f"{kind}.csv")
    app.rebuild_reach(ws, MARKETER)
    ws.sign()
    ws.close()
    return folder


@dataclass
class Shop:
    ws: app.Workspace
    folder: Path

    @property
    def app(self) -> FastAPI:
        if not hasattr(self, "_app"):
            self._app = build_app(self.ws, {"seconds": {}}, None)
        return self._app

    def door(self, role="marketer"):
        client = TestClient(self.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
        assert client.post(f"/doors/{role}").status_code == 303
        return client

    def form(self, client, path="/console/segments/new"):
        return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]

    def person(self, n):
        with self.ws.store.look() as view:
            return self.ws.desk.find(view, f"s-{n:03}")

    def house_events(self, kind):
        with self.ws.store.look() as view:
            chain = self.ws.desk.scribe.chain(view, self.ws.desk.scribe.house)
        return [r.event.payload for r in chain if kind == type(r.event.payload).__name__]

    def count(self, where, actor=MARKETER, purpose="offers"):
        return app.count_audience(self.ws, segment(where, purpose), actor)


def text(where, name="test", purpose="offers"):
    from troth.kernel import audience

    raw = {"name": name, "purpose": purpose, "where": where}
    return audience.written(audience.parse_audience(raw))


def segment(where, purpose="offers", name="test"):
    return app.read_segment(text(where, name, purpose))


@contextlib.contextmanager
def opened(place):
    """A fresh copy of the shop, opened."""
    folder = place / "shop"
    shutil.copytree(_made(), folder)
    ws = app.open(folder, at=instant(NOW))
    try:
        yield Shop(ws, folder)
    finally:
        ws.close()
