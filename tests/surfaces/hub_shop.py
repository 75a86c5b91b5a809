"""A small workspace behind the hub, made once: invented customers, one campaign really sent."""

import atexit
import csv
import functools
import re
import shutil
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from troth import app as house
from troth.capabilities import outreach
from troth.engines import ranking
from troth.surfaces.demo.material import COLUMNS, write_drafts
from troth.surfaces.web.server import build_app, listen
from troth.terms import Actor, Role, instant

NOW = datetime(2026, 11, 17, 10, tzinfo=ZoneInfo("Africa/Johannesburg"))
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
AGREED = [f"shop-{n:02}" for n in range(1, 31)]
SILENT = [f"shop-{n:02}" for n in range(31, 61)]
ITEMS = {
    "100": ("Fresh milk", 3),
    "200": ("Ground coffee", 9),
    "300": ("Rose compost", 30),
}
"""Item → name and how many weeks ago it was last bought."""
LEVELS = {
    1: "",
    2: "identity.name;interests.declared",
    3: "identity.name;interests.declared;purchases.13w",
    4: "identity.name;interests.declared;purchases.13w;purchases.52w",
}
REPORT = {
    "demo_time": NOW.isoformat(),
    "provenance": "published household purchases; planted provenance line",
    "people": 62,
    "behaviour_rows": 1_469_302,
    "events": 500,
    "candidates": 144,
    "reachable": 61,
    "refused_people": 88,
    "refused": {"withdrawn": 26, "no_consent": 16, "objected": 41, "expired": 3, "minor": 2},
    "sent": 56,
    "sent_by_level": {"1": 30},
    "sent_without_agreement": 0,
    "withdrawn_between_preview_and_send": {"people": 5, "sent": 0},
    "doubled": 0,
    "unknown": 0,
    "failed": 0,
    "ledger": {"size": 500, "root": "00" * 32, "verified": True},
    "receipt": {"file": "receipts/x", "verified": True},
    "seconds": {"one": 20.4, "two": 21.0},
}


@dataclass(frozen=True)
class Shop:
    """The workspace, its app, and a client that keeps the app running."""

    folder: Path
    ws: house.Workspace
    app: FastAPI
    client: TestClient
    campaign: outreach.Campaign

    @property
    def key(self) -> dict[str, str]:
        """The header that opens the HTTP interface."""
        return {"authorization": f"Bearer {self.app.state.hub.shown_key}"}

    def door(self, role: str) -> TestClient:
        """A browser that went through a role's door and holds its session."""
        client = TestClient(self.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
        answer = client.post(f"/doors/{role}")
        assert answer.status_code == 303, answer.text
        return client

    def form(self, client: TestClient, path: str) -> str:
        """The token that forms of this session carry, read from a page as a browser would."""
        return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]

    def size(self) -> int:
        """How many entries the ledger has."""
        with self.ws.store.look() as view:
            return view.log.size

    def person(self, outside: str):
        """Who has this outside id."""
        with self.ws.store.look() as view:
            return self.ws.desk.find(view, outside)

    def chain(self, outside: str):
        """A person's events, oldest first."""
        with self.ws.store.look() as view:
            return self.ws.desk.scribe.chain(view, self.ws.desk.find(view, outside))

    def mail_of(self, outside: str) -> tuple[int, str]:
        """The number of the mail a person got, and its stop token."""
        for path in sorted((self.folder / "inbox").glob("*.eml")):
            text = path.read_bytes().decode("ascii")
            if f"To: {outside}@post.example\r\n" in text:
                return int(path.stem), text.split("/stop/")[1][:32]
        raise AssertionError(f"{outside} got no mail")


@functools.cache
def shop() -> Shop:
    """Return the shop of this run; whoever changes people in it makes one of their own."""
    return make_shop()


def make_shop() -> Shop:
    """Make a shop; about three seconds."""
    folder = Path(tempfile.mkdtemp(prefix="troth-hub-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_drafts(folder, NOW)
    _write_files(folder)
    house.init(folder)
    ws = house.open(folder, at=instant(NOW))
    ws.apply()
    for kind in ("customers", "consents", "events", "registry"):
        house.import_file(ws, kind, folder / f"{kind}.csv")
    campaign = _send(ws, folder)
    ws.sign()
    app = build_app(ws, REPORT, folder / "inbox")
    client = TestClient(app, base_url="http://127.0.0.1:8400")
    client.__enter__()
    atexit.register(ws.close)
    atexit.register(client.__exit__, None, None, None)
    return Shop(folder, ws, app, client, campaign)


def _write_files(folder: Path) -> None:
    people = ["cast-adult", "cast-objected", *AGREED, *SILENT]
    _csv(folder / "customers.csv", COLUMNS["customers"], map(_customer, people))
    acts = [act for who in people for act in _acts(who)]
    _csv(folder / "consents.csv", COLUMNS["consents"], acts)
    _csv(folder / "products.csv", COLUMNS["products"], map(_product, ITEMS))
    (folder / "registry.csv").write_text(
        "# scheme: sha256-lower-trim\n# as-of: 2026-11-02T10:00:00+02:00\nhash\n" + "0" * 64 + "\n"
    )
    columns = ["external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units"]
    _csv(folder / "events.csv", columns, _bought("cast-adult"))


def _csv(path: Path, columns, rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _customer(who: str) -> dict[str, str]:
    name = "Thandeka" if who == "cast-adult" else "Planted"
    return {
        "external_id": who, "email": f"{who}@post.example", "given_name": name,
        "family_name": "Secretname", "residence": "ZA", "zone": "Africa/Johannesburg",
        "language": "en", "birth_year": "1980", "subject": "natural", "interests": "baking;coffee",
        "relation_kind": "inquiry" if who in SILENT else "sale",
        "relation_at": "2025-11-16T12:00:00+02:00", "relation_goods": "household",
        "details_from_sale": "no", "objection_offered": "no", "source": "shop checkout",
    }  # fmt: skip


def _act(who: str, n: int, **told: str) -> dict[str, str]:
    return {
        "external_id": who, "occurred_at": f"2026-06-{10 + n}T12:00:00+02:00", "method": "button",
        "proof": f"form:{who}{n}", "given_by": "self", "idempotency_key": f"t:{who}:{n}", **told,
    }  # fmt: skip


def _acts(who: str) -> list[dict[str, str]]:
    if who in SILENT:
        return []
    out = [_act(who, 1, purpose="offers", channels="email", status="given", notice="offers@3")]
    level = 4 if who == "cast-adult" else 1 + sum(map(ord, who)) % 4
    if LEVELS[level]:
        out.append(
            _act(who, 2, purpose="personalise", status="given", notice="personalise@2",
                 categories=LEVELS[level], level=str(level))
        )  # fmt: skip
    if who == "cast-objected":
        out.append(_act(who, 3, purpose="marketing", channels="all", status="objected"))
    return out


def _product(item: str) -> dict[str, str]:
    return {"item": item, "group": "g", "department": "d", "name": ITEMS[item][0],
            "sensitive": "no"}  # fmt: skip


def _bought(who: str):
    for item, (_, weeks) in ITEMS.items():
        for n in range(weeks):
            at = NOW - timedelta(weeks=weeks, hours=n)
            yield {
                "external_id": who, "at": at.isoformat(), "kind": "purchase", "item": item,
                "group": "g", "amount_minor": 500, "currency": "ZAR", "units": 1,
            }  # fmt: skip


def _send(ws: house.Workspace, folder: Path) -> outreach.Campaign:
    with ws.store.look() as view:
        template = view.published("template:winback")
        people = [ws.desk.find(view, who) for who in (*AGREED, *SILENT)]
    campaign = outreach.Campaign("winback-1", "offers", "00" * 32, template, ws.sender())
    shelf = outreach.Shelf({}, ranking.Alike(0, {}))
    renderer = house.renderer(ws, campaign, shelf)
    outreach.book(renderer, people, MARKETER, house.real_seconds)
    inbox = house.local_inbox(folder / "inbox")
    port = inbox.start()
    try:
        house.deliver(ws, campaign, MARKETER, ("127.0.0.1", port))
    finally:
        inbox.stop()
    return campaign


@contextmanager
def listening(app: FastAPI):
    """Serve an app on a free port of this machine; yields the address."""
    taken = listen(0)
    config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        taken.close()
