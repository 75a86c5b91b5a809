"""Nobody approves what they wrote, however many hands went over it since."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula
import pytest

from troth import app
from troth.capabilities.outreach import steps
from troth.terms import Actor, Refusal, Role

LINDIWE, OFFICER = marula.MARKETER, marula.OFFICER
SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
THABO = Actor(Role.MARKETER, "thabo@marula.example")


@pytest.fixture
def three(house):
    path = house.folder / "troth.toml"
    more = f'marketer = ["lindiwe@marula.example", "{SIPHO.id}", "{THABO.id}"]'
    path.write_text(re.sub(r"(?m)^marketer = .*$", more, path.read_text()))
    house.at(marula.NOW).ws.apply()
    return house


def drafted(house, who, note):
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback", note=note), who)


@pytest.mark.parametrize("last", [LINDIWE, THABO])
def test_a_later_edit_does_not_wash_an_earlier_hand_off(three, last):
    for who, note in ((LINDIWE, "first"), (SIPHO, "its substance"), (last, "one comma")):
        drafted(three, who, note)
    life = app.submit_campaign(three.ws, "spring", last)
    no = steps.approve(three.desk, "spring", life.plan, SIPHO)
    assert isinstance(no, Refusal)
    assert no.first.code == "separation_of_duty"
    assert steps.approve(three.desk, "spring", life.plan, OFFICER).stands
