"""A small house with the demo's cast: real files, real importers, a real record, a real inbox."""

import contextlib
import csv
import hashlib
import itertools
from collections import Counter
from datetime import timedelta
from email import message_from_bytes

from troth import app
from troth.capabilities import outreach, preferences
from troth.engines.ranking import Alike
from troth.kernel import gate
from troth.surfaces.demo import history
from troth.surfaces.demo import people as demo_people
from troth.surfaces.demo.clock import demo_now
from troth.surfaces.demo.material import COLUMNS, write_drafts
from troth.surfaces.demo.run import holidays
from troth.terms import Actor, Channel, ConsentStatus, Instant, Role, instant, moment

NOW = demo_now(holidays())
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
COLUMNS = {**COLUMNS, "events": ("external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units", "store")}  # fmt: skip
ITEMS = {"1001": "Rooibos tea", "1002": "Seed loaf", "1003": "Plain flour"}
BLANK = {
    "residence": "ZA", "zone": "Africa/Johannesburg", "language": "en", "subject": "natural",
    "relation_kind": "inquiry", "relation_goods": "household", "details_from_sale": "no",
    "objection_offered": "no", "source": "shop checkout", "birth_year": "1980",
    "relation_at": (NOW - timedelta(days=300)).isoformat(),
}  # fmt: skip
YES = {
    "purpose": "offers", "channels": "email", "status": "given", "notice": "offers@3",
    "method": "checkbox", "proof": "form:story", "given_by": "self",
    "occurred_at": (NOW - timedelta(days=100)).isoformat(),
}  # fmt: skip


def days_ago(days, hours=0):
    return (NOW - timedelta(days=days, hours=hours)).isoformat()


class House:
    """One opened workspace and what stories do with it."""

    def __init__(self, folder, at=NOW):
        self.folder = folder
        self.files = itertools.count()
        self.open(at)

    def open(self, at=NOW):
        self.ws = app.open(self.folder, at=instant(at))
        self.desk = self.ws.desk
        return self

    def at(self, moment):
        """Close the house and open it again at another moment."""
        self.ws.close()
        return self.open(moment)

    def person(self, external_id):
        with self.ws.store.look() as view:
            return self.desk.find(view, external_id)

    def everybody(self, *external_ids):
        return [self.person(each) for each in external_ids]

    def take(self, kind, *rows, head="", **extras):
        """Write rows into a file of a name of its own and import it."""
        path = self.folder / f"{kind}-{next(self.files)}.csv"
        if kind == "registry":
            path.write_text(head + "\n".join(["hash", *rows]) + "\n")
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS[kind], lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        return app.import_file(self.ws, kind, path, app.Extras(**extras))

    def newcomer(self, external_id="probe", *acts, **facts):
        """Import one customer who may be anything, and what they said."""
        email = f"{external_id}@post.example"
        self.take("customers", {"external_id": external_id, "email": email, **BLANK, **facts})
        if acts:
            self.consents(external_id, *acts)
        return self.person(external_id)

    def consents(self, external_id, *acts):
        rows = [{"external_id": external_id, **YES, **act} for act in acts]
        return self.take("consents", *rows)

    def say(self, person, status, purpose="offers", channels=("email",), **more):
        choice = preferences.Choice(ConsentStatus(status), purpose, channels, **more)
        return preferences.record_choice(
            self.desk, person, choice, Actor(Role.PERSON, person.hex())
        )

    def campaign(self, name="winback", purpose="offers", channel=Channel.EMAIL):
        with self.ws.store.look() as view:
            template = view.published("template:ask" if purpose == "ask" else "template:winback")
        return outreach.Campaign(
            name, purpose, "00" * 32, template, self.ws.sender(), channel=channel
        )

    def shelf(self):
        return outreach.Shelf(ITEMS, Alike(3, {"1001": ["1003"], "1002": ["1003"]}))

    def decide(self, person, campaign=None, actor=MARKETER):
        with self.ws.store.look() as view:
            judged = outreach.judge(self.desk, view, campaign or self.campaign(), [person], actor)
        return judged[0].answer

    def codes(self, person, campaign=None):
        """Return the reasons for which a person may not be mailed now; none is a yes."""
        answer = self.decide(person, campaign)
        if isinstance(answer, gate.Permit):
            return []
        return list(dict.fromkeys(str(reason.code) for reason in answer.reasons))

    def preview(self, people, campaign=None):
        return outreach.preview(self.desk, campaign or self.campaign(), people, MARKETER)

    def book(self, people, campaign=None, actor=MARKETER):
        renderer = app.renderer(self.ws, campaign or self.campaign(), self.shelf())
        return outreach.book(renderer, people, actor, app.real_seconds)

    def hand_over(self, campaign=None, actor=MARKETER):
        with self.inbox() as port:
            return app.deliver(self.ws, campaign or self.campaign(), actor, ("127.0.0.1", port))

    def send(self, people, campaign=None):
        self.book(people, campaign)
        return self.hand_over(campaign)

    @contextlib.contextmanager
    def inbox(self):
        inbox = app.local_inbox(self.folder / "inbox")
        port = inbox.start()
        try:
            yield port
        finally:
            inbox.stop()

    def mails(self):
        return app.local_inbox(self.folder / "inbox").messages()

    def delivered(self):
        """Count mails by address, as the receiving side saw them."""
        return Counter(to for mail in self.mails() for to in mail.rcpt_to)

    def stop_token(self, place=-1):
        """Return the token of a received mail's one-click header."""
        raw = self.mails()[place].path.read_bytes()
        return message_from_bytes(raw)["List-Unsubscribe"].strip(" <>").rsplit("/", 1)[1]

    def chain(self, person):
        with self.ws.store.look() as view:
            return [r.event for r in self.desk.scribe.chain(view, person)]

    def house_chain(self):
        return self.chain(self.desk.scribe.house)

    def record(self, person):
        with self.ws.store.look() as view:
            return view.gather([person], Channel.EMAIL)[0].record

    def when(self):
        with self.ws.store.look() as view:
            return moment(Instant(view.now))


def registry_head(as_of):
    return f"# scheme: sha256-lower-trim\n# as-of: {as_of}\n"


def registry_hash(address):
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()


def cast_members():
    played = [m["household"] for m in demo_people.told("cast")["member"] if "household" in m]
    return demo_people.customers(sorted(played), {}, NOW, 7)


def customer_row(who):
    told = {name: getattr(who, name) for name in COLUMNS["customers"] if hasattr(who, name)}
    days = who.relation_days or 400
    return {
        **told,
        "birth_year": who.birth_year or "",
        "interests": ";".join(who.interests),
        "relation_at": days_ago(days),
        "relation_goods": demo_people.GOODS,
        "details_from_sale": "yes" if who.details_from_sale else "no",
        "objection_offered": "yes" if who.offered else "no",
    }


def consent_row(act):
    return {name: str(getattr(act, name)) for name in COLUMNS["consents"]}


def make(folder):
    """Begin a workspace in `folder` with the cast in it, and leave it closed."""
    folder.mkdir()
    write_drafts(folder, NOW)
    app.init(folder)
    house = House(folder)
    house.ws.apply()
    members = cast_members()
    house.take("customers", *map(customer_row, members))
    acts = [act for who in members for act in history.acts(who, NOW, 7)]
    house.take("consents", *map(consent_row, acts))
    house.take("suppressions", *(
        {"email": who.email, "reason": who.suppression["reason"],
         "since": days_ago(who.suppression["days"]), "source": "marula.example account page"}
        for who in members if who.suppression
    ))  # fmt: skip
    house.take(
        "registry", registry_hash("stranger@mail.example"), head=registry_head(days_ago(15))
    )
    buyers = [who.external_id for who in members if who.household]
    house.take("events", *(
        {"external_id": each, "at": days_ago(days), "kind": "purchase", "item": item,
         "group": "bread", "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for each in buyers for days, item in ((20, "1001"), (20, "1002"), (200, "1001"))
    ))  # fmt: skip
    house.ws.close()
