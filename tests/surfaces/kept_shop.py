"""The small shop's customers, imported once and looked at years later, when their time is over."""

import atexit
import functools
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import hub_shop
from starlette.testclient import TestClient

from troth import app as house
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import instant

EARLY = "2026-11-17T10:00:00+02:00"
LATER = "2029-11-17T10:00:00+02:00"
MUCH_LATER = "2046-11-17T10:00:00+02:00"


@functools.cache
def _made() -> Path:
    place = Path(tempfile.mkdtemp(prefix="troth-kept-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = place / "shop"
    folder.mkdir()
    write_drafts(folder, hub_shop.NOW)
    hub_shop._write_files(folder)
    house.init(folder)
    ws = house.open(folder, at=instant(hub_shop.NOW))
    ws.apply()
    for kind in ("customers", "consents", "events", "registry"):
        house.import_file(ws, kind, folder / f"{kind}.csv")
    ws.sign()
    ws.close()
    return folder


class Shop:
    """One copy, its app, and what a test does with it."""

    def __init__(self, ws, folder):
        self.ws, self.folder = ws, folder
        self.app = build_app(ws, hub_shop.REPORT, None)

    def door(self, role):
        """A browser that went through a role's door and holds its session."""
        client = TestClient(self.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
        assert client.post(f"/doors/{role}").status_code == 303
        return client

    def form(self, client, path):
        """The token that forms of this session carry, read from a page as a browser would."""
        return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]

    def token(self, client):
        """The same token, whatever pages the session may open."""
        return self.app.state.hub.kept["sessions"].find(client.cookies["troth_session"]).form

    def post(self, client, path, page, **fields):
        """Send a form of a page."""
        return client.post(path, data={"form": self.form(client, page), **fields})

    def rested(self):
        """Wait until the background work of the retention page is over."""
        job = self.app.state.hub.kept["retention"]
        for _ in range(600):
            if job.state != "running":
                return job
            time.sleep(0.05)
        raise AssertionError("the work does not end")

    def house_chain(self):
        with self.ws.store.look() as view:
            desk = self.ws.desk
            return [r.event for r in desk.scribe.chain(view, desk.scribe.house)]

    def person(self, outside):
        with self.ws.store.look() as view:
            return self.ws.desk.find(view, outside)

    def chain(self, outside):
        with self.ws.store.look() as view:
            desk = self.ws.desk
            return [r.event for r in desk.scribe.chain(view, desk.find(view, outside))]


@contextmanager
def opened(place, at=EARLY):
    """A fresh copy, opened at a moment."""
    folder = place / "shop"
    shutil.copytree(_made(), folder)
    ws = house.open(folder, at=instant(datetime.fromisoformat(at)))
    try:
        yield Shop(ws, folder)
    finally:
        ws.close()
