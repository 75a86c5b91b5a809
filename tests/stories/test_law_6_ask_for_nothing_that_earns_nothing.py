"""Law 6: ask for nothing that earns nothing.

Now: nothing beyond what a purpose names is kept, opened or asked for. Later work measures what
each category earns (holdout, lift, balance) and deletes what earns nothing; those stories go here.
"""

import csv
import tomllib
from datetime import datetime

from marula import BLANK, COLUMNS, NOW, days_ago

from troth import app
from troth.kernel import consent
from troth.terms import instant

EXTRA = "shoesize"


def test_a_column_nobody_has_a_purpose_for_is_not_kept(house):
    path = house.folder / "wide.csv"
    row = {**BLANK, "external_id": "wide", "email": "wide@post.example", EXTRA: "Grootvoet-47"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS["customers"], EXTRA])
        writer.writeheader()
        writer.writerow(row)
    app.import_file(house.ws, "customers", path)
    person = house.person("wide")
    with house.ws.store.look() as view:
        sealed = [r.field for r in view.sealed([person], FIELDS)[person]]
    assert "contact.email" in sealed
    told = repr(house.chain(person))
    assert "Grootvoet" not in told
    assert EXTRA not in told


FIELDS = ["birth.year", "contact.email", "external.id", "interests", "name.given", "name.family"]


def test_without_a_choice_the_message_is_made_of_nothing_but_the_address(house):
    person = house.newcomer("probe", {}, given_name="Nomsa", interests="bread")
    assert dict(house.decide(person).categories) == {}
    house.send([person])
    booked = [e.payload for e in house.chain(person) if e.type == "message.booked"]
    assert (booked[0].level, booked[0].categories) == (1, ())


def test_each_level_opens_exactly_what_the_house_published_and_the_person_agreed_to(house):
    levels = tomllib.loads((house.folder / "troth.toml").read_text())["levels"]
    person = house.person("cast-adult")
    opened = set().union(*(levels[str(k)] for k in range(5)))
    assert set(house.decide(person).categories) == opened
    house.say(person, "withdrawn", "personalise", (), method="button",
              categories=("purchases.52w",), level=3)  # fmt: skip
    assert set(house.decide(person).categories) == opened - {"purchases.52w"}


def test_a_category_in_no_level_is_opened_by_no_marketing_purpose(house):
    with house.ws.store.look() as view:
        held = house.desk.house(view)
    in_levels = frozenset().union(*held.levels)
    assert not in_levels & held.special
    for purpose in held.purposes.values():
        assert not purpose.categories & held.special, purpose.name


def test_agreement_to_a_category_ends_with_its_own_term(house):
    person = house.newcomer("probe", {})
    told = {"notice": "personalise@1", "method": "button", "proof": "form:1", "level": 2}
    at = instant(datetime.fromisoformat(days_ago(725)))
    house.say(person, "given", "personalise", (), categories=("identity.name",),
              occurred_at=at, **told)  # fmt: skip
    assert set(house.decide(person).categories) == {"identity.name"}
    with house.ws.store.look() as view:
        held = house.desk.house(view)
        later = instant(NOW) + 10 * 86_400_000_000
    assert consent.agreed_categories(house.record(person), held, later) == frozenset()
