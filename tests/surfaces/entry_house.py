"""The stories' house behind the hub, for coming in: browsers, letters really sent, addresses."""

import email
import functools
import re
import shutil
import sqlite3
import sys
import tempfile
from email.policy import default
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula
from starlette.testclient import TestClient

from troth import app as wired
from troth.app import entry
from troth.surfaces.web.server import build_app

BASE = "http://127.0.0.1:8400"
REPORT = {"demo_time": marula.NOW.isoformat(), "provenance": "invented"}


@functools.cache
def made():
    folder = Path(tempfile.mkdtemp(prefix="troth-entry-")) / "house"
    marula.make(folder)
    return folder


class Resting:
    """No doorman: the later step runs when a test says so."""

    def call(self):
        """Do nothing."""


class EntryHouse(marula.House):
    """A house of its own for each test, its pages, and what its people find in their mailboxes."""

    def __init__(self, folder):
        shutil.copytree(made(), folder)
        super().__init__(folder)
        self.serve()

    def serve(self):
        self.app = build_app(self.ws, None, None)
        self.app.state.hub.kept["doorman"] = Resting()

    def later(self, moment):
        self.at(moment)
        self.serve()

    def browser(self):
        client = TestClient(self.app, base_url=BASE, follow_redirects=False)
        client.headers["sec-fetch-site"] = "same-origin"
        return client

    def token(self, client, path="/my/enter"):
        return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]

    def ask(self, client, address):
        form = {"form": self.token(client), "address": address}
        return client.post("/my/enter", data=form)

    def post_round(self):
        """Do the later step: look, book, hand over by SMTP."""
        entry.write_entries(self.ws)
        with self.inbox() as port:
            wired.deliver_letters(self.ws, ("127.0.0.1", port))

    def letters(self, to):
        out = []
        for mail in self.mails():
            if to in mail.rcpt_to:
                read = email.message_from_bytes(mail.path.read_bytes(), policy=default)
                out.append(read.get_body(("plain",)).get_content())
        return out

    def sent(self, client, address):
        """Ask, and return path of the link and the code from the newest letter."""
        self.ask(client, address)
        self.post_round()
        newest = self.letters(address)[-1]
        link = re.search(r"https://my\.marula\.example(/my/in/\w+)", newest)[1]
        return link, re.search(r"Code: (\d{6})", newest)[1]

    def come_in(self, client, address):
        link, _ = self.sent(client, address)
        return client.post(link, data={"form": self.token(client, link)})

    def size(self):
        with self.ws.store.look() as view:
            return view.log.size

    def own_rows(self):
        """Every row of capabilities' own tables, by table: how many and how long."""
        con = sqlite3.connect(f"file:{self.ws.settings.record}?mode=ro", uri=True)
        try:
            rows = con.execute("SELECT tbl, key, value FROM own_row").fetchall()
        finally:
            con.close()
        return {(table, bytes(key)): bytes(value) for table, key, value in rows}
