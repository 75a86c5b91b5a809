"""A house with 37 colleagues and a year of reads: what stories about access happen in.

Support may see whole e-mail addresses here (rules of the house's own). Nobody in it exists.
"""

from datetime import timedelta

import marula

from troth import app
from troth.app import access as rights
from troth.app import base_policy
from troth.capabilities.access import cases, reading
from troth.capabilities.access.cases import Opening
from troth.surfaces.demo.material import write_drafts
from troth.terms import Action, Actor, Role

NOW = marula.NOW
BEGUN = NOW - timedelta(days=300)
IT = Actor(Role.IT, "gareth@marula.example")
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
SUPPORT = [Actor(Role.SUPPORT, f"agent{n:02}@marula.example") for n in range(1, 37)]
BUSY, SELDOM = SUPPORT[:5], SUPPORT[5:8]
"""Five who look at addresses every month, three who did once, long ago."""
EMAIL = "contact.email"


def make(folder):
    """Begin the house 300 days ago, with its staff and its rules."""
    folder.mkdir()
    write_drafts(folder, BEGUN)
    path = folder / "troth.toml"
    names = ", ".join(f'"{each.id}"' for each in SUPPORT)
    text = path.read_text().replace('support = ["fatima@marula.example"]', f"support = [{names}]")
    path.write_text(text)
    rules, tests = base_policy.shipped()
    last4 = b'@id("support.email")\n@mask("last4")'
    assert rules.count(last4) == 1
    (folder / "access.cedar").write_bytes(rules.replace(last4, b'@id("support.email")'))
    (folder / "access.tests.toml").write_bytes(tests.replace(b'mask = "last4"', b'mask = "full"'))
    app.init(folder)
    house = marula.House(folder, BEGUN)
    house.ws.apply()
    house.newcomer("probe")
    rights.measure(house.ws)
    house.ws.close()


def look(house, actor, case, action=Action.READ, wanted=frozenset({EMAIL})):
    """One colleague looks at the one customer, for a case opened for it."""
    person = house.person("probe")
    cases.open_case(house.desk, person, Opening(case, "mail"), actor)
    asked = reading.Reading(person, actor, (), f"case:{case}", action)
    return reading.book(house.desk, asked, (), wanted)


def lived(house):
    """Let the months pass: three look once in the first, five in each of the last."""
    house.at(BEGUN + timedelta(days=30))
    for n, actor in enumerate(SELDOM):
        look(house, actor, f"old-{n}")
    for n, actor in enumerate(SUPPORT):
        look(house, actor, f"name-old-{n}", wanted=frozenset({"identity.name"}))
    house.at(NOW - timedelta(days=20))
    for n, actor in enumerate(SUPPORT):
        look(house, actor, f"name-{n}", wanted=frozenset({"identity.name"}))
    for n, actor in enumerate([*BUSY, OFFICER]):
        look(house, actor, f"new-{n}")
    look(house, OFFICER, "new-file", Action.EXPORT)
    house.at(NOW)
    return house
