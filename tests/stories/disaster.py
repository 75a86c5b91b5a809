"""A house that loses its disk: what is copied off it day by day, and how it comes back."""

import shutil
from datetime import datetime, timedelta

import marula

from troth import app
from troth.adapters.system import FixedClock
from troth.app import activity, backup, restore
from troth.capabilities.outreach import plans, steps
from troth.terms import Actor, Role, instant

ZONE = "Africa/Johannesburg"
AGREED = {
    "purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
    "categories": "identity.name;interests.declared;purchases.13w;purchases.52w",
}  # fmt: skip
MARCH = "2026-03-14T09:00:00+02:00"
LINES = ((MARCH, "1001"), ("2026-08-05T10:00:00+02:00", "1002"))


class Disaster:
    """Annelie withdraws, Bongani deletes last March, Carmen is erased; then the disk is gone."""

    def __init__(self, house, folder):
        self.house, self.folder = house, folder
        self.annelie, self.bongani, self.carmen, self.dumi = (
            house.newcomer(name, {}, AGREED) for name in ("annelie", "bongani", "carmen", "dumi")
        )
        house.take("events", *(
            {"external_id": name, "at": at, "kind": "purchase", "item": item, "group": "g",
             "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
            for name in ("annelie", "bongani", "carmen") for at, item in LINES
        ))  # fmt: skip
        self.hours = 0

    def later(self, hours=1):
        """Open the house again some hours on."""
        self.hours += hours
        return self.house.at(marula.NOW + timedelta(hours=self.hours))

    def back_up(self):
        """Make yesterday's backup, and the copy of the keys of that day."""
        place = self.folder / "backups"
        place.mkdir(exist_ok=True)
        self.made = backup.backup_data(self.house.ws, place)
        shutil.rmtree(self.folder / "keys-copy", ignore_errors=True)
        shutil.copytree(self.house.folder / "keys", self.folder / "keys-copy")
        return self.made

    def this_morning(self):
        """Let the three of them say what must not be undone."""
        self.later(3)
        self.house.say(self.annelie, "withdrawn")
        chosen = activity.period(datetime(2026, 3, 1).date(), ZONE)
        activity.delete(
            self.house.ws, self.bongani, chosen, Actor(Role.PERSON, self.bongani.hex())
        )
        self.house.ws.erase(self.carmen, "rq-carmen")
        self.house.ws.sign()

    def lose(self):
        """Lose `data/` and `keys/`; only what was copied off is left."""
        self.house.ws.close()
        shutil.rmtree(self.folder / "witness-copy", ignore_errors=True)
        shutil.copytree(self.house.folder / "witness", self.folder / "witness-copy")
        shutil.rmtree(self.house.folder)

    def given(self, **more):
        self.hours += 1
        at = instant(marula.NOW + timedelta(hours=self.hours))
        kept = {
            "keys": self.folder / "keys-copy", "witness": self.folder / "witness-copy",
            "clock": FixedClock(at),
        }  # fmt: skip
        return restore.Given(**{**kept, **more})

    def restore(self, **more):
        """Restore yesterday's backup into an empty folder and open the house again."""
        done = restore.restore(self.house.folder, self.made.path, self.given(**more))
        self.house.open(marula.NOW + timedelta(hours=self.hours))
        return done

    def run(self, name="spring"):
        """Plan, approve and start a campaign, and book messages nobody hands over."""
        house = self.house
        steps.draft(house.desk, plans.Plan(
            name, "audience:winback@1", "ab" * 32, "template:winback@1", "offers"
        ), marula.MARKETER)  # fmt: skip
        life = steps.submit(house.desk, name, 3, marula.MARKETER)
        steps.approve(house.desk, name, life.plan, marula.OFFICER)
        steps.move(house.desk, name, plans.Step.STARTED, marula.MARKETER)
        house.book([self.annelie, self.dumi], house.campaign(name))

    def stage(self, name="spring"):
        with self.house.ws.store.look() as view:
            return steps.read_life(view, name).stage

    def bought(self, person):
        """What the person's own page shows of what they bought, as local months."""
        eyes = app.owndata.Eyes(person, person)
        found = activity.look(self.house.ws, eyes, ZONE, activity.Filter())
        return sorted(
            {datetime.fromtimestamp(e.at / 1e6).strftime("%Y-%m") for e in found.entries}
        )

    def leaves(self, kind):
        """Public leaves of a kind."""
        import json

        with self.house.ws.store.look() as view:
            raw = [e[1:] for e in view.entries(0, view.log.size) if e[:1] == b"\x01"]
        return [leaf for leaf in map(json.loads, raw) if leaf["type"] == kind]
