"""The disaster, run for real with invented people: a disk is lost, yesterday's backup comes back.

A workspace of its own is made in a temporary folder, used as any other, destroyed and restored.
What is shown afterwards is read from the restored record; nothing here is written down beforehand.
"""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from troth import app as house
from troth.app import activity, backup, restore
from troth.app.owndata import Eyes
from troth.capabilities import outreach, preferences, rights
from troth.capabilities.outreach import plans, steps
from troth.errors import EvidenceBroken, Fault
from troth.kernel import proof
from troth.surfaces.demo.material import COLUMNS, write_drafts
from troth.terms import (
    Actor,
    Channel,
    ConsentStatus,
    Instant,
    PersonId,
    Refusal,
    Role,
    instant,
    moment,
)

NOW: Final = datetime(2026, 11, 23, 10, tzinfo=ZoneInfo("Africa/Johannesburg"))
ZONE: Final = "Africa/Johannesburg"
MARKETER: Final = Actor(Role.MARKETER, "lindiwe@marula.example")
OFFICER: Final = Actor(Role.OFFICER, "nokuthula@marula.example")
CAMPAIGN: Final = "spring"
WHO: Final = ("annelie", "bongani", "carmen", "dumi")
STEPS: Final = (
    "A shop with four invented customers is made",
    "Yesterday: a backup, and copies of keys/ and witness/",
    "This morning: Annelie withdraws, Bongani deletes March, Carmen is erased",
    "The disk is lost: data/ and keys/ are gone",
    "Yesterday's backup and keys are restored, the journal is replayed",
    "What people said is looked up in what came back",
)
_EVENTS: Final = (
    "external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units", "store",
)  # fmt: skip
_YES: Final = {
    "purpose": "offers", "channels": "email", "status": "given", "notice": "offers@3",
    "method": "checkbox", "proof": "form:shop", "given_by": "self",
}  # fmt: skip
_BUYS: Final = ("2026-03-14T09:00:00+02:00", "2026-08-05T10:00:00+02:00")
Tell = Callable[[int], None]
_Kind = Literal["customers", "consents", "events"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One outcome, and what it rests on.

    Attributes:
        holds: Whether what was promised is what was found.
        evidence: Lines anybody can look up in the restored record.
    """

    title: str
    before: str
    after: str
    holds: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """What came of it.

    Attributes:
        leaves: The public entries of the restore, as they lie in the ledger.
        seconds: Per step, how long it took.
    """

    outcomes: tuple[Shown, ...]
    leaves: tuple[str, ...]
    figures: Mapping[str, int]
    seconds: tuple[float, ...]
    receipt: str


@dataclass(slots=True)
class _Shop:
    """The invented shop, and what is remembered of it until it is looked at again."""

    folder: Path
    real_us: Callable[[], int]
    ws: house.Workspace = field(init=False)
    ids: dict[str, PersonId] = field(default_factory=dict)
    hours: int = 0
    made: Path = field(init=False)
    receipt: str = ""
    policy: proof.Policy = field(init=False)

    @property
    def home(self) -> Path:
        return self.folder / "shop"

    def at(self, hours: int) -> Instant:
        self.hours += hours
        return instant(NOW + timedelta(hours=self.hours))

    def open(self, hours: int = 0) -> None:
        self.ws = house.open(self.home, at=self.at(hours))

    def take(self, kind: _Kind, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
        path = self.folder / f"{kind}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        house.import_file(self.ws, kind, path)

    def answer(self, who: str, name: str = "autumn") -> list[str]:
        """Return why a message may not go to somebody now; none is a yes."""
        with self.ws.store.look() as view:
            template = view.published("template:winback")
            if template is None:
                raise EvidenceBroken("the restored house has no template", "restore it again")
            campaign = outreach.Campaign(
                name, "offers", "00" * 32, template, self.ws.sender(), channel=Channel.EMAIL
            )
            judged = outreach.judge(self.ws.desk, view, campaign, [self.ids[who]], MARKETER)
        answer = judged[0].answer if judged else Refusal(())
        return [str(r.code) for r in answer.reasons] if isinstance(answer, Refusal) else []

    def months(self, who: str) -> list[str]:
        """Return the months in which somebody's own page shows purchases."""
        person = self.ids[who]
        found = activity.look(self.ws, Eyes(person, person), ZONE, activity.Filter())
        days = {moment(e.at).astimezone(ZoneInfo(ZONE)) for e in found.entries}
        return [f"{each:%B}" for each in sorted(days)]

    def events(self, who: str) -> list[tuple[int, str, int]]:
        """Return number, type and entry of somebody's events."""
        with self.ws.store.look() as view:
            chain = self.ws.desk.scribe.chain(view, self.ids[who])
        return [(r.event.n, r.event.type, r.seq) for r in chain]


def run(real_us: Callable[[], int], tell: Tell = lambda _step: None) -> Story:
    """Run it; some seconds. Nothing of it is left on the disk.

    Args:
        real_us: The machine's clock, to say how long each step took.
        tell: Told which step begins.
    """
    folder = Path(tempfile.mkdtemp(prefix="troth-disaster-"))
    shop, took = _Shop(folder, real_us), []
    done: list[Any] = []
    try:
        for number, step in enumerate((_make, _yesterday, _morning, _lose, _restore, _look)):
            tell(number)
            began = real_us()
            done.append(step(shop))
            took.append((real_us() - began) / 1e6)
        shop.ws.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    restored: restore.Restored = done[4]
    outcomes, leaves = done[5]
    told = restored.outcome
    figures = {
        "entries restored": told.kept,
        "signed entries lost": restored.lost,
        "journal lines": told.replayed.lines,
        "booked again": told.replayed.booked,
        "campaigns stopped": told.campaigns,
        "messages of unknown end": told.messages,
    }
    return Story(outcomes, leaves, figures, tuple(took), shop.receipt)


def _make(shop: _Shop) -> None:
    shop.home.mkdir()
    write_drafts(shop.home, NOW)
    house.init(shop.home)
    shop.open()
    shop.ws.apply()
    shop.take("customers", COLUMNS["customers"], [_customer(name) for name in WHO])
    shop.take("consents", COLUMNS["consents"], [act for name in WHO for act in _acts(name)])
    _registry(shop)
    shop.take("events", _EVENTS, [_bought(name, at) for name in WHO for at in _BUYS])
    with shop.ws.store.look() as view:
        found = {name: shop.ws.desk.find(view, name) for name in WHO}
    shop.ids = {name: person for name, person in found.items() if person is not None}
    _begin_campaign(shop)


def _registry(shop: _Shop) -> None:
    """Take in an opt-out registry of two weeks ago that names nobody of them."""
    path = shop.folder / "registry.csv"
    told = (NOW - timedelta(days=14)).isoformat()
    path.write_text(f"# scheme: sha256-lower-trim\n# as-of: {told}\nhash\n{'0' * 64}\n", "utf-8")
    house.import_file(shop.ws, "registry", path)


def _customer(name: str) -> dict[str, str]:
    return {
        "external_id": name, "email": f"{name}@post.example", "residence": "ZA", "zone": ZONE,
        "language": "en", "subject": "natural", "relation_kind": "inquiry",
        "relation_goods": "household", "details_from_sale": "no", "objection_offered": "no",
        "source": "shop checkout", "birth_year": "1980",
        "relation_at": (NOW - timedelta(days=300)).isoformat(),
    }  # fmt: skip


def _acts(name: str) -> list[dict[str, str]]:
    at = (NOW - timedelta(days=100)).isoformat()
    level = {
        "purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
        "categories": "identity.name;interests.declared;purchases.13w;purchases.52w",
    }  # fmt: skip
    said = {**_YES, "external_id": name, "occurred_at": at}
    return [said, {**said, **level}]


def _bought(name: str, at: str) -> dict[str, str]:
    return {
        "external_id": name, "at": at, "kind": "purchase", "item": "100", "group": "tea",
        "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1",
    }  # fmt: skip


def _begin_campaign(shop: _Shop) -> None:
    desk = shop.ws.desk
    plan = plans.Plan(CAMPAIGN, "audience:winback@1", "ab" * 32, "template:winback@1", "offers")
    steps.draft(desk, plan, MARKETER)
    life = steps.submit(desk, CAMPAIGN, len(WHO), MARKETER)
    if not isinstance(life, Refusal):
        steps.approve(desk, CAMPAIGN, life.plan, OFFICER)
        steps.move(desk, CAMPAIGN, plans.Step.STARTED, MARKETER)


def _yesterday(shop: _Shop) -> None:
    place = shop.folder / "backups"
    place.mkdir()
    shop.made = backup.backup_data(shop.ws, place).path
    backup.check_backup(shop.ws, shop.made)
    live = shutil.ignore_patterns("keys.db*")
    shutil.copytree(shop.home / "keys", shop.folder / "keys-copy", ignore=live)
    shop.ws.keys.copy_to(shop.folder / "keys-copy" / "keys.db")
    note = shop.ws.sign()
    found = rights.receipts(shop.ws.desk, shop.ids["annelie"], note)
    shop.receipt, shop.policy = found[0].text, shop.ws.signer.own


def _morning(shop: _Shop) -> None:
    shop.ws.close()
    shop.open(20)
    annelie, bongani = shop.ids["annelie"], shop.ids["bongani"]
    said = preferences.Choice(ConsentStatus.WITHDRAWN, "offers", ("email",))
    preferences.record_choice(shop.ws.desk, annelie, said, _self(annelie))
    chosen = activity.period(datetime(2026, 3, 1, tzinfo=ZoneInfo(ZONE)).date(), ZONE)
    activity.delete(shop.ws, bongani, chosen, _self(bongani))
    shop.ws.erase(shop.ids["carmen"], "rq-carmen")
    shop.ws.sign()


def _self(person: PersonId) -> Actor:
    return Actor(Role.PERSON, person.hex())


def _lose(shop: _Shop) -> None:
    shop.ws.close()
    shutil.copytree(shop.home / "witness", shop.folder / "witness-copy")
    shutil.rmtree(shop.home)


def _restore(shop: _Shop) -> restore.Restored:
    given = restore.Given(
        keys=shop.folder / "keys-copy",
        witness=shop.folder / "witness-copy",
        clock=restore.clock(shop.at(2)),
    )
    done = restore.restore(shop.home, shop.made, given)
    shop.open()
    return done


def _look(shop: _Shop) -> tuple[tuple[Shown, ...], tuple[str, ...]]:
    outcomes = (_withdrew(shop), _deleted(shop), _erased(shop), _stopped(shop), _receipts(shop))
    with shop.ws.store.look() as view:
        raw = [e[1:].decode() for e in view.entries(0, view.log.size) if e[:1] == proof.PUBLIC]
    wanted = ("log.continued", "restore.done")
    return outcomes, tuple(text for text in raw if json.loads(text)["type"] in wanted)


def _withdrew(shop: _Shop) -> Shown:
    codes = shop.answer("annelie")
    others = shop.answer("dumi")
    booked = [each for each in shop.events("annelie") if each[1] == "consent.withdrawn"]
    return Shown(
        "Annelie is not mailed",
        "She agreed to offers; yesterday's backup says so.",
        f"The gate refuses her: {', '.join(codes) or 'nothing'}. "
        f"Dumi, who said nothing, {'may be mailed' if not others else 'is refused'}.",
        codes == ["withdrawn"] and not others,
        tuple(f"event {n} {kind}, entry {seq}" for n, kind, seq in booked),
    )


def _deleted(shop: _Shop) -> Shown:
    mine, other = shop.months("bongani"), shop.months("dumi")
    booked = [each for each in shop.events("bongani") if each[1] == "behaviour.deleted"]
    return Shown(
        "Bongani's March is absent",
        f"The backup holds purchases of {' and '.join(other)}, as Dumi's page still shows.",
        f"Bongani's own page shows {' and '.join(mine) or 'nothing'}.",
        bool(other) and "March" in other and "March" not in mine,
        tuple(f"event {n} {kind}, entry {seq}" for n, kind, seq in booked),
    )


def _erased(shop: _Shop) -> Shown:
    carmen = shop.ids["carmen"]
    states = {row.state for row in shop.ws.keys.rows([carmen])}
    with shop.ws.store.look() as view:
        bodies = len(view.bodies(carmen))
        known = shop.ws.desk.find(view, "carmen") is not None
    gone = rights.is_erased(shop.ws.desk, carmen)
    return Shown(
        "Carmen is unreadable",
        "Backup and keys of yesterday together could read her.",
        f"Her keys are {' and '.join(sorted(states))}; {bodies} of her events are left; "
        f"her number {'is known' if known else 'is not known'}.",
        gone and states == {"shredded"} and not bodies and not known,
        ("a public entry erase.done, without her name",),
    )


def _stopped(shop: _Shop) -> Shown:
    with shop.ws.store.look() as view:
        life = steps.read_life(view, CAMPAIGN)
        waiting = sum(view.waiting().values())
    stage = str(life.stage) if life else "unknown"
    return Shown(
        "The running campaign is stopped",
        "It ran when the backup was made. Nobody knows whom it reached since.",
        f"It is {stage}; {waiting} messages wait to be sent.",
        stage == "stopped" and not waiting,
        ("an event campaign.acted in the house's chain",),
    )


def _receipts(shop: _Shop) -> Shown:
    new = rights.receipts(shop.ws.desk, shop.ids["annelie"], shop.ws.sign())
    old_holds = _verifies(shop.receipt, shop.policy)
    new_hold = all(_verifies(each.text, shop.ws.signer.own) for each in new)
    return Shown(
        "Receipts handed out before still verify",
        "They name the old ledger.",
        f"Annelie's receipt of yesterday {'verifies' if old_holds else 'does not verify'} under "
        f"the old name; her {len(new)} new ones {'do' if new_hold else 'do not'} under "
        f"{shop.ws.signer.origin}.",
        old_holds and new_hold,
        ("the ledger verifies from its first entry",) if not shop.ws.verify() else (),
    )


def _verifies(text: str, policy: proof.Policy) -> bool:
    try:
        proof.verify_receipt(text, policy)
    except Fault:
        return False
    return True
