"""The small shop with a CRM beside it: a SQLite file that a mapping describes in part."""

import sqlite3
from contextlib import closing, contextmanager

import hub_shop

from troth import app
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role, instant

IT = Actor(Role.IT, "gareth@marula.example")
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
MARK = "Qzxplanted"
"""Stands in every value of the CRM: where it shows up, something leaked."""
SOURCE = """
[sources.crm]
kind = "sqlite"
path = "../{name}"
mapping = "crm_db"
title = "Customer service"
every_days = 1
country = "ZA"
"""
MAPPING = """
dataset:
  - fides_key: crm_db
    name: Customer service
    description: Calls and complaints
    meta:
      troth:
        country: DE
        processor: Host GmbH
        agreement: 2026-01 terms
        owner: fatima@marula.example
        retention: 3 years
        measures: {stored: [disk encryption at the host]}
    collections:
      - name: callers
        fields:
          - {name: customer_id, data_categories: [user.unique_id], fides_meta: {primary_key: true}}
          - {name: email, data_categories: [user.contact.email], fides_meta: {identity: email}}
          - {name: given, data_categories: [user.name]}
system:
  - fides_key: call_desk
    name: Call desk
    system_type: Application
    dataset_references: [crm_db]
    egress: [{fides_key: troth, type: system, data_categories: [user.contact.email]}]
    privacy_declarations: []
"""


def crm(path):
    """Write the CRM's file."""
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("CREATE TABLE callers (customer_id TEXT PRIMARY KEY, email TEXT, given TEXT)")
        rows = [(f"C{n}", f"{MARK}{n}@post.example", f"{MARK}") for n in range(40)]
        con.executemany("INSERT INTO callers VALUES (?, ?, ?)", rows)
    return path


def grow(path):
    """Add a column nobody maps, as a supplier's upgrade does."""
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("ALTER TABLE callers ADD COLUMN cell_number TEXT")
        con.execute("UPDATE callers SET cell_number = '+27 82 555 0101'")


@contextmanager
def opened():
    """Open a shop of one's own with the CRM beside it, mapped and not scanned yet."""
    made = hub_shop.make_shop()
    made.ws.close()
    path = crm(made.folder.parent / f"{made.folder.name}-crm.db")
    toml = made.folder / "troth.toml"
    toml.write_text(toml.read_text("utf-8") + SOURCE.format(name=path.name), "utf-8")
    (made.folder / "map").mkdir()
    (made.folder / "map" / "crm.yml").write_text(MAPPING, "utf-8")
    ws = app.open(made.folder, at=instant(hub_shop.NOW))
    ws.apply()
    served = build_app(ws, hub_shop.REPORT, made.folder / "inbox")
    shop = hub_shop.Shop(made.folder, ws, served, made.client, made.campaign)
    try:
        yield shop, path
    finally:
        ws.close()
        path.unlink()


def house_chain(ws):
    """The house's own events, oldest first."""
    with ws.store.look() as view:
        return [each.event.payload for each in ws.desk.scribe.chain(view, ws.desk.scribe.house)]
