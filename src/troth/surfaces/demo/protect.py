"""What a house that protects its data has lived through: who looked, who asked, what was saved.

The four months before the demo's moment, through the same doors as everybody: nothing is written
that a day's work would not have booked. Who looked at whom, and when, is the same on any day.
"""

import csv
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from troth import app
from troth.app import access as rights
from troth.app import backup, base_policy, keys, scans
from troth.capabilities.access import canaries, cases, granting, reading
from troth.capabilities.access.cases import Opening
from troth.errors import EvidenceBroken, NotFound
from troth.kernel.desk import SYSTEM
from troth.surfaces.demo import people
from troth.surfaces.demo.draw import Draw
from troth.surfaces.demo.material import COLUMNS
from troth.terms import Action, Actor, Instant, PersonId, Refusal, Role, instant

IT: Final = Actor(Role.IT, "gareth@marula.example")
OFFICER: Final = Actor(Role.OFFICER, "nokuthula@marula.example")
SUPPORT: Final = (
    Actor(Role.SUPPORT, "fatima@marula.example"),
    *(Actor(Role.SUPPORT, f"agent-{n:02}@marula.example") for n in range(1, 36)),
)
BUSY, SELDOM = SUPPORT[:5], SUPPORT[5:8]
"""Who looked at whole addresses three weeks ago, and who did only once, in July."""
CANARIES: Final = 3
KNOWN_EARLY: Final = 12
"""Customers who were on file before the rest was brought in."""
LEFT: Final = "left-0001"
EMAIL, NAME, PHONE = "contact.email", "identity.name", "contact.phone"
BACKUPS: Final = "backups"
WAREHOUSE: Final = "warehouse"
PARCELS: Final = 60
_BEGUN, _SELDOM = timedelta(days=120), timedelta(days=110)
_USUAL, _ERASED, _GLASS = timedelta(days=20), timedelta(days=6), timedelta(hours=14)
_CALL, _BREATH = timedelta(minutes=47), timedelta(minutes=9)
_NEEDS: Final = {"cedarpy": "rules of its own", "yaml": "a mapped warehouse"}
_SOURCE: Final = f"""
# Not ours to write; read by its mapping in map/{WAREHOUSE}.yml.
[sources.{WAREHOUSE}]
kind = "sqlite"
path = "{WAREHOUSE}.db"
mapping = "warehouse_db"
title = "Warehouse"
every_days = 7
country = "ZA"
"""


@dataclass(slots=True)
class Moving:
    """The demo's clock while it is made: stands where it was put."""

    at: Instant

    def now(self) -> Instant:
        """Return where it stands."""
        return self.at

    def put(self, when: datetime) -> None:
        """Put it to a moment, never back."""
        self.at = max(self.at, instant(when))


@dataclass(frozen=True, slots=True)
class Lived:
    """The house before the demo's moment: who is on file already, and by what number."""

    ws: app.Workspace
    clock: Moving
    now: datetime
    ids: Mapping[str, PersonId] = field(default_factory=dict)

    def put(self, back: timedelta) -> None:
        """Put the clock to so long before the demo's moment."""
        self.clock.put(self.now - back)

    def of(self, number: int) -> PersonId:
        """Return one of those who are on file already."""
        return list(self.ids.values())[number % KNOWN_EARLY]


# Before the workspace is begun


def prepare(folder: Path, now: datetime) -> Moving:
    """Lay beside the drafts what this part needs, and return the clock of the first day.

    Raises:
        NotFound: The extra `[demo]` is not installed as a whole.
    """
    for module, what in _NEEDS.items():
        if find_spec(module) is None:
            raise NotFound(f"the demo needs {module}, for {what}", "install troth[demo]")
    _staff(folder / "troth.toml")
    _rules(folder)
    (folder / "map").mkdir(exist_ok=True)
    mapping = files("troth") / "data" / "demo" / "protect" / f"{WAREHOUSE}.yml"
    (folder / "map" / f"{WAREHOUSE}.yml").write_bytes(mapping.read_bytes())
    (folder / BACKUPS).mkdir(mode=0o700, exist_ok=True)
    _warehouse(folder / f"{WAREHOUSE}.db", now)
    return Moving(instant(now - _BEGUN))


def _staff(path: Path) -> None:
    """List the staff of support, where backups go, and the warehouse."""
    listed = "".join(f'  "{each.id}",\n' for each in SUPPORT)
    text = path.read_text("utf-8")
    for old, new in (
        (f'support = ["{SUPPORT[0].id}"]', f"support = [\n{listed}]"),
        ("backup_days = ", f'backup_to = "{BACKUPS}"\nbackup_every_hours = 24\nbackup_days = '),
    ):
        if text.count(old) != 1:
            raise EvidenceBroken("the demo's troth.toml is another one", "install troth anew")
        text = text.replace(old, new)
    path.write_text(text + _SOURCE, "utf-8")


def _rules(folder: Path) -> None:
    """Write the house's own rules: as shipped, but support sees whole e-mail addresses."""
    said, tested = base_policy.shipped()
    mask = b'@id("support.email")\n@mask("last4")'
    if said.count(mask) != 1:
        raise EvidenceBroken("the rules shipped are other ones", "install troth anew")
    (folder / "access.cedar").write_bytes(said.replace(mask, b'@id("support.email")'))
    changed = tested.replace(b'mask = "last4"', b'mask = "full"')
    (folder / "access.tests.toml").write_bytes(changed)


def _warehouse(path: Path, now: datetime) -> None:
    """Make somebody else's database: one column more than its mapping knows."""
    with closing(sqlite3.connect(path)) as con, con:
        con.execute(
            "CREATE TABLE parcels (parcel_id TEXT PRIMARY KEY, customer_no TEXT,"
            " delivery_name TEXT, street_address TEXT, packed_on TEXT, mobile_number TEXT)"
        )
        con.executemany("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, ?)", _parcels(now))
    path.chmod(0o600)


def _parcels(now: datetime) -> Iterator[Sequence[str]]:
    names = people.told("names")["given"]
    every = sorted(name for region in sorted(names) for name in names[region])
    for number in range(PARCELS):
        draw = Draw(7, f"parcel {number}")
        day = (now - timedelta(days=draw.whole("day", 1, 90))).date()
        street = f"{draw.whole('house', 1, 90)} Quiet Street"
        phone = f"+2782555{draw.whole('phone', 100, 199):04}"  # kept free for fiction
        yield f"P{number:05}", f"hh-{draw.whole('who', 1, 2400):04}", draw.pick("name", every), \
            street, day.isoformat(), phone  # fmt: skip


# The months before


def live(ws: app.Workspace, clock: Moving, customers: Path, now: datetime) -> Lived:
    """Let the months before the demo's moment pass; afterwards the clock stands at `now`."""
    rights.measure(ws)
    kept = _take_early(ws, customers, now - _BEGUN)
    house = Lived(ws, clock, now, kept)
    canaries.plant(ws.desk, CANARIES, OFFICER)
    house.put(_SELDOM)
    for n, actor in enumerate(SELDOM):
        house.put(_SELDOM - n * _CALL)
        _look(house, n, actor, f"MZ-{1040 + n}", EMAIL)
    for n, actor in enumerate(SUPPORT):
        house.put(_USUAL - n * _BREATH)
        _look(house, n, actor, f"MZ-{2210 + n}", *((NAME, EMAIL) if actor in BUSY else (NAME,)))
    for action in (Action.READ, Action.EXPORT):
        _look(house, 7, OFFICER, "IO-88", EMAIL, NAME, action=action)
    rights.measure(ws)
    house.put(_ERASED)
    _erase(house)
    house.put(_GLASS)
    _break_glass(house)
    house.put(timedelta())
    return house


def _take_early(ws: app.Workspace, customers: Path, before: datetime) -> dict[str, PersonId]:
    """Take in some customers of long ago, and one who left since."""
    with customers.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if _long_ago(row, before)][:KNOWN_EARLY]
    gone = {
        **rows[0], "external_id": LEFT, "email": "gone.0001@post.example",
        "given_name": "Lerato", "family_name": "Dlamini",
    }  # fmt: skip
    path = customers.with_name("customers-before.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS["customers"], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, gone])
    app.import_file(ws, "customers", path)
    path.unlink()
    with ws.store.look() as view:
        found = {row["external_id"]: ws.desk.find(view, row["external_id"]) for row in rows}
    ids = {name: person for name, person in found.items() if person is not None}
    if len(ids) < KNOWN_EARLY:
        raise EvidenceBroken("the demo's customers of long ago are missing", "run it again")
    return ids


def _long_ago(row: Mapping[str, str], before: datetime) -> bool:
    own = row["external_id"].startswith("hh-") and row["residence"] == "ZA"
    return own and datetime.fromisoformat(row["relation_at"]) < before


def _look(
    house: Lived,
    number: int,
    actor: Actor,
    case: str,
    *wanted: str,
    action: Action = Action.READ,
) -> None:
    """Look at somebody for the case they rang about; the event stands in their chain first."""
    person, desk = house.of(number), house.ws.desk
    opener = actor if actor.role in cases.MAY_OPEN else SYSTEM
    cases.open_case(desk, person, Opening(case, "ticket"), opener)
    asked = reading.Reading(person, actor, (), f"case:{case}", action)
    if isinstance(reading.book(desk, asked, (), frozenset(wanted)), Refusal):
        raise EvidenceBroken("the demo's staff may not look at what the demo shows")


def _erase(house: Lived) -> None:
    """Erase who left, and end the key epoch: what it was copied under waits for its last day."""
    ws = house.ws
    with ws.store.look() as view:
        person = ws.desk.find(view, LEFT)
    if person is not None:
        ws.erase(person, "rq-left", OFFICER)
        keys.roll(ws, IT)


def _break_glass(house: Lived) -> None:
    """Let IT see one address in an emergency of last night, and end that right at once."""
    case = "IT-31"
    person = house.of(4)
    cases.open_case(house.ws.desk, person, Opening(case, "ticket"), SYSTEM)
    bench = rights.bench(house.ws)
    told = {
        "purpose": "service", "action": "read", "data": EMAIL, "reason": f"case:{case}",
        "why": "The relay returned receipts all evening; I compare an address with its log.",
        "minutes": "45",
    }  # fmt: skip
    held = granting.break_glass(bench, rights.wanted(house.ws, IT, told), IT)
    _look(house, 4, IT, case, EMAIL)
    granting.end(bench, held.id, IT, "found it")


# After the main job


def finish(house: Lived, folder: Path) -> None:
    """Ask for a right, scan the warehouse, count who can see what, and back everything up."""
    ws = house.ws
    _ask(house)
    scans.scan(ws, WAREHOUSE, IT)
    rights.measure(ws)
    made = backup.backup_data(ws, folder / BACKUPS, IT)
    backup.check_backup(ws, made.path, IT)


def _ask(house: Lived) -> None:
    """Let somebody of support ask for telephone numbers for a day's work; nobody answered yet."""
    ws, who, case = house.ws, SUPPORT[7], "MZ-2291"
    cases.open_case(ws.desk, house.of(2), Opening(case, "ticket"), SYSTEM)
    told = {
        "purpose": "service", "action": "read", "data": PHONE, "hours": "8",
        "reason": f"case:{case}",
        "why": "The courier lost a parcel; I ring the customer back today.",
    }  # fmt: skip
    granting.ask(rights.bench(ws), rights.wanted(ws, who, told), who)
