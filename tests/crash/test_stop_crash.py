"""A stop that is killed at any step is on the list of the address at the next start, once."""

import shutil

import killing
import marula
import pytest

from troth.capabilities.preferences import binding

WHO = "c000"


@pytest.fixture(scope="session")
def shared(made, tmp_path_factory):
    """Somebody who agreed, and another id at the same mailbox."""
    folder = tmp_path_factory.mktemp("crash") / "shared"
    shutil.copytree(made, folder)
    house = marula.House(folder)
    house.take("customers", {**killing.customer("twin"), "email": f"{WHO}@post.example"})
    house.ws.close()
    (folder / "candidates").write_text(WHO)
    return folder


def check(steps, finished):
    house = steps.house()
    try:
        person, twin = house.person(WHO), house.person("twin")
        types = [[e.type for e in house.chain(each)] for each in (person, twin)]
        told = [each.count("suppression.added") for each in types]
        with house.ws.store.look() as view:
            sup = view.gather([person], marula.Channel.EMAIL)[0].contact.sup
            blocks = {(b.reason, b.value) for b in view.blocks([sup]).get(sup, ())}
            assert view.rows(binding.BINDING, b"", b"", 10) == []
        acts = [line for line in house.desk.journal.lines() if line.get("sup") == sup.hex()]
        if finished:
            roots = {value for _, value in blocks}
            assert "marketing" in roots
            assert blocks == {("unsubscribe", root) for root in roots}
            assert told == [len(roots)] * 2
            assert types[0].count("consent.withdrawn") == len(roots)
            assert {line["value"] for line in acts} == roots
        else:
            assert (blocks, told, acts) == (set(), [0, 0], [])
            assert "consent.withdrawn" not in types[0]
        house.ws.follow()  # what the follower itself recorded is followed too
        assert all(not each.lag for each in house.ws.followers())
        assert house.ws.verify() == []
    finally:
        house.ws.close()


@pytest.mark.parametrize(
    ("cut", "recorded"),
    [("book", False), ("journal", True), ("bind", True), ("listed", True), ("drop", True)],
)
def test_a_stop_killed_before_each_step_is_whole_or_nothing(shared, tmp_path, cut, recorded):
    steps = killing.Steps(shared, tmp_path / "house", "stop")
    steps.die_at(cut)
    check(steps, recorded)
    steps.finish()
    check(steps, finished=True)
