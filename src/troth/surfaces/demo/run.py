"""The main job on published data, from files to proof, as one function."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from troth import app
from troth.capabilities import custody, insight, outreach, people, preferences, rights
from troth.capabilities.outreach import plans, steps, waves
from troth.capabilities.people.acts import Relation
from troth.errors import Conflict, EvidenceBroken
from troth.kernel import events, gate, proof
from troth.kernel.calendars import parse_calendar
from troth.kernel.events import canonical
from troth.ports import LocalInbox, PathLike
from troth.surfaces.demo import clock, protect
from troth.surfaces.demo.material import Material, write_material
from troth.surfaces.demo.recount import recount
from troth.terms import Actor, Channel, ConsentStatus, PersonId, Refusal, Role

PROVENANCE = (
    "published household purchases; the package's README calls them simulated and gives 801"
    " households, the data holds 2,469. Identities, addresses and consents are generated."
)
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
SECOND = Actor(Role.OFFICER, "nokuthula@marula.example")
SYSTEM = Actor(Role.SYSTEM, "demo")
CAMPAIGN = "winback-1"
CHANGES_OF_MIND = 5
WITNESS = "cast-adult"
MARK = "demo.json"

Say = Callable[[str], None]


@dataclass(slots=True)
class _Laps:
    """Seconds per step, read from the machine's own clock."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)
    _since: int = 0
    _step: str = ""

    def begin(self, step: str) -> None:
        self.end()
        self._step, self._since = step, app.real_micros()
        self.say(step)

    def end(self) -> None:
        if self._step:
            took = (app.real_micros() - self._since) / 1e6
            self.seconds[self._step] = round(took, 2)
            self._step = ""


def holidays() -> list[date]:
    """Return South Africa's public holidays from the calendar shipped as data."""
    raw = (files("troth") / "data/calendars/ZA.toml").read_bytes()
    return list(parse_calendar("ZA.toml", raw).days)


def run_demo(
    folder: Path,
    at: datetime | None = None,
    progress: Say = lambda _step: None,
) -> dict[str, Any]:
    """Do the whole job in `folder` and return its figures; the same figures on any day.

    A demo that lies there already is replaced; any other content is left alone.

    Args:
        folder: Where the workspace is made.
        at: Another moment to stand at; None takes the demo's own.
        progress: Told each step's name as it begins.

    Raises:
        Conflict: The folder holds something that is not a demo. Nothing was touched.
        NotFound: The extra `[demo]` is not installed.
    """
    _clear(folder)
    laps = _Laps(progress)
    laps.begin("write the input files")
    now = clock.demo_now(holidays(), at)
    material = write_material(folder, demo_now=now)
    (folder / MARK).write_text("{}", "utf-8")
    laps.begin("begin a workspace and publish its rules")
    standing = protect.prepare(folder, now)
    app.init(folder)
    ws = app.open(folder, clock=standing)
    try:
        ws.apply()
        laps.begin("let its staff work for four months")
        early = protect.live(ws, standing, material.paths["customers"], now)
        report = _job(ws, material, laps, now)
        laps.begin("scan the warehouse, count who sees what, back up")
        protect.finish(early, folder)
        laps.end()
    finally:
        ws.close()
    (folder / MARK).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return report


def _clear(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise Conflict("this folder holds something else than a demo", "name another folder")
        shutil.rmtree(folder)


def _job(ws: app.Workspace, material: Material, laps: _Laps, now: datetime) -> dict[str, Any]:
    names, sensitive = _products(material.paths["products"])
    items = {"items": canonical(names), "items.sensitive": canonical({"items": sensitive})}
    custody.apply(ws.desk, items)
    laps.begin("import customers")
    customers = app.import_file(ws, "customers", material.paths["customers"])
    laps.begin("import consents, suppressions and the opt-out registry")
    acts = app.import_file(ws, "consents", material.paths["consents"])
    app.import_file(ws, "suppressions", material.paths["suppressions"])
    app.import_file(ws, "registry", material.paths["registry"])
    laps.begin("import purchases")
    extras = app.Extras(sensitive=sensitive)
    bought = app.import_file(ws, "events", material.paths["events"], extras)
    _link(ws, material.paths["customers"])
    laps.begin("build the audience engine's copy")
    app.rebuild_reach(ws, SYSTEM)
    laps.begin("narrow, preview, and have a second person approve")
    _, candidates = app.narrow(ws, "winback")
    life = _approved(ws)
    plan, campaign = _planned(ws)
    changed = _change_minds(ws, campaign, candidates)
    laps.begin("decide, render, sign and book")
    shelf = _shelf(ws, names)
    filler = app.renderer(ws, campaign, shelf)
    begun = _took(app.start_campaign(ws, CAMPAIGN, MARKETER))
    waves.queue(ws.desk, plan, begun, candidates, MARKETER)
    waves.wave(filler, plan, begun, MARKETER, app.real_seconds)
    with ws.store.look() as view:
        tally = waves.read_tally(view, CAMPAIGN)
    late = _unsubscribe_booked(ws, campaign, candidates)
    laps.begin("hand over by SMTP")
    inbox = app.local_inbox(material.folder / "inbox")
    port = inbox.start()
    try:
        handed = app.deliver(ws, campaign, MARKETER, ("127.0.0.1", port))
        again = _send_again(ws, campaign, shelf, _permitted(ws, campaign, candidates), port)
        app.Sending(ws, ("127.0.0.1", port), MARKETER).advance(CAMPAIGN)
    finally:
        inbox.stop()
    laps.begin("sign, verify and write a receipt")
    ws.sign()
    findings = ws.verify()
    receipt = _receipt(ws, material.folder)
    with ws.store.look() as view:
        log = view.log
    found = _inbox_figures(ws, inbox, material.folder, changed + late, now)
    laps.end()
    refused = Counter(tally.refused) + handed.withheld
    return {
        "demo_time": now.isoformat(),
        "provenance": PROVENANCE,
        "people": customers.outcomes["kept"],
        "behaviour_rows": bought.outcomes["kept"],
        "behaviour_rows_identical_skipped": bought.outcomes["skipped"],
        "consent_acts": acts.outcomes["kept"],
        "consents_without_proof": acts.outcomes["unproven"],
        "events": log.size,
        "candidates": len(candidates),
        "reachable": life.count,
        "refused_people": sum(refused.values()),
        "refused": {str(k): v for k, v in sorted(refused.items(), key=lambda r: (-r[1], r[0]))},
        "sent": handed.handed,
        "sent_by_level": _levels(ws, campaign, candidates),
        **found,
        "doubled": found["doubled"] + again,
        "unknown": handed.unknown,
        "failed": handed.failed,
        "ledger": {"size": log.size, "root": log.root.hex(), "verified": not findings},
        "receipt": receipt,
        "seconds": laps.seconds,
    }


ACTING: tuple[tuple[str, str, Relation], ...] = (
    ("cast-minor", "cast-guardian", "competent_person"),
    ("cast-organisation", "cast-zero", "contact_of"),
)
"""Whom somebody of the cast acts for, who it is, and as what."""


def _link(ws: app.Workspace, customers: Path) -> None:
    """Let a parent act for a child until it is of age, and a contact for her guest house."""
    with customers.open(encoding="utf-8", newline="") as file:
        born = {row["external_id"]: row["birth_year"] for row in csv.DictReader(file)}
    with ws.store.look() as view:
        pairs = [(ws.desk.find(view, a), ws.desk.find(view, b), r, a) for a, b, r in ACTING]
    for person, acts, relation, name in pairs:
        if person and acts:
            year, way = born.get(name, ""), "paper form in the shop"
            until = people.of_age(int(year)) if year else 0
            people.link(ws.desk, person, acts, relation, way, SYSTEM, until)


def _products(path: Path) -> tuple[dict[str, str], frozenset[str]]:
    names, sensitive = {}, set()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["sensitive"] == "yes":
                sensitive.add(row["item"])
            else:
                names[row["item"]] = row["name"]
    return names, frozenset(sensitive)


def _approved(ws: app.Workspace) -> plans.Life:
    """Plan the campaign as one person and approve it as another, as the console would."""
    asked = app.Asked(CAMPAIGN, "winback", "winback", note="Once a season.")
    _took(app.draft_campaign(ws, asked, MARKETER))
    submitted = _took(app.submit_campaign(ws, CAMPAIGN, MARKETER))
    return _took(steps.approve(ws.desk, CAMPAIGN, submitted.plan, SECOND))


def _took(done: plans.Life | Refusal) -> plans.Life:
    if isinstance(done, Refusal):
        raise EvidenceBroken("the demo's staff may not do what the demo shows")
    return done


def _planned(ws: app.Workspace) -> tuple[plans.Plan, outreach.Campaign]:
    with ws.store.look() as view:
        plan = steps.plan_of(view, CAMPAIGN)
        return plan, app.campaign_of(ws, view, plan)


def _shelf(ws: app.Workspace, names: Mapping[str, str]) -> outreach.Shelf:
    with ws.store.look() as view:
        return outreach.Shelf(names, insight.learn_alike(ws.desk, view, SYSTEM, names))


def _permitted(
    ws: app.Workspace, campaign: outreach.Campaign, candidates: list[PersonId]
) -> list[PersonId]:
    """Name those who may be mailed right now, in the order of their outside ids."""
    with ws.store.look() as view:
        judged = outreach.judge(ws.desk, view, campaign, candidates, MARKETER)
    return [j.gathered.person for j in judged if isinstance(j.answer, gate.Permit)]


def _addresses(ws: app.Workspace, people: list[PersonId]) -> list[str]:
    with ws.store.look() as view:
        return [g.contact.sup.hex() for g in view.gather(people, Channel.EMAIL) if g.contact]


def _by_outside_id(ws: app.Workspace, folder: Path, people: list[PersonId]) -> list[PersonId]:
    wanted, out = set(people), []
    with (
        (folder / "customers.csv").open(encoding="utf-8", newline="") as file,
        ws.store.look() as v,
    ):
        for row in csv.DictReader(file):
            person = ws.desk.find(v, row["external_id"])
            if person in wanted and person is not None:
                out.append(person)
    return out


def _change_minds(
    ws: app.Workspace, campaign: outreach.Campaign, candidates: list[PersonId]
) -> list[PersonId]:
    """Let some who were previewed as reachable withdraw before the campaign is booked."""
    reachable = _by_outside_id(ws, ws.settings.folder, _permitted(ws, campaign, candidates))
    chosen = reachable[1 :: max(1, len(reachable) // CHANGES_OF_MIND)][: CHANGES_OF_MIND - 2]
    for person in chosen:
        choice = preferences.Choice(
            ConsentStatus.WITHDRAWN, campaign.purpose, ("email",), method="button"
        )
        preferences.record_choice(ws.desk, person, choice, Actor(Role.PERSON, person.hex()))
    return chosen


def _unsubscribe_booked(
    ws: app.Workspace, campaign: outreach.Campaign, candidates: list[PersonId]
) -> list[PersonId]:
    """Let two more withdraw after their message was booked and before it is handed over."""
    booked = _by_outside_id(ws, ws.settings.folder, _permitted(ws, campaign, candidates))
    chosen = booked[2:4]
    for person in chosen:
        choice = preferences.Choice(
            ConsentStatus.WITHDRAWN, "marketing", ("*",), method="one_click"
        )
        preferences.record_choice(ws.desk, person, choice, Actor(Role.PERSON, person.hex()))
    return chosen


def _send_again(
    ws: app.Workspace,
    campaign: outreach.Campaign,
    shelf: outreach.Shelf,
    mailed: list[PersonId],
    port: int,
) -> int:
    """Run the same campaign once more for those it mailed; return how many more it handed over."""
    outreach.book(app.renderer(ws, campaign, shelf), mailed, MARKETER, app.real_seconds)
    return app.deliver(ws, campaign, MARKETER, ("127.0.0.1", port)).handed


def _levels(
    ws: app.Workspace, campaign: outreach.Campaign, candidates: list[PersonId]
) -> dict[str, int]:
    """Count handed messages by the level they were written at, from the chains themselves."""
    counts: dict[str, int] = {}
    with ws.store.look() as view:
        for person in candidates:
            level: dict[str, str] = {}
            for recorded in ws.desk.scribe.chain(view, person):
                payload = recorded.event.payload
                if isinstance(payload, events.MessageBooked):
                    if payload.campaign == campaign.name:
                        level[payload.ref] = str(payload.level)
                elif isinstance(payload, events.MessageOutcome) and (
                    payload.state == "handed" and payload.ref in level
                ):
                    key = level[payload.ref]
                    counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items()))


def _inbox_figures(
    ws: app.Workspace, inbox: LocalInbox, folder: Path, changed: list[PersonId], now: datetime
) -> dict[str, Any]:
    mails = inbox.messages()
    recipients = [address for mail in mails for address in mail.rcpt_to]
    told = recount(folder, recipients, now)
    ids = [_message_id(mail.path) for mail in mails]
    mine = set(_addresses(ws, changed))
    reached = 0
    for address in recipients:
        point = ws.desk.contact(Channel.EMAIL, address.lower(), 1)
        reached += point.sup.hex() in mine
    return {
        "sent_without_agreement": told.without_agreement,
        "received": told.mails,
        "withdrawn_between_preview_and_send": {"people": len(changed), "sent": reached},
        "doubled": len(ids) - len(set(ids)),
    }


def _message_id(path: PathLike) -> str:
    for line in path.read_bytes().split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.lower().startswith(b"message-id:"):
            return line.decode("ascii", "replace")
    return path.name


def _receipt(ws: app.Workspace, folder: Path) -> dict[str, Any]:
    """Write the newest receipt of a cast member and the policy it verifies under."""
    with ws.store.look() as view:
        person = ws.desk.find(view, WITNESS)
    if person is None:
        raise EvidenceBroken("the demo's cast is missing")
    newest = rights.receipts(ws.desk, person, ws.sign())[-1]
    out = folder / "receipts"
    out.mkdir(exist_ok=True)
    path = out / f"{WITNESS}.tlog-proof"
    path.write_text(newest.text, "utf-8")
    policy = ws.signer.policy_for(ws.sign())
    (out / "policy").write_text(policy, "utf-8")
    proof.verify_receipt(path.read_bytes(), ws.signer.policy)
    return {"file": f"receipts/{path.name}", "event": newest.type, "verified": True}
