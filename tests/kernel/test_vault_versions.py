"""A quarter's key in versions: part of it goes, the rest lives on, old rows never open again."""

import cast
import pytest

from troth.errors import Conflict, NotFound
from troth.kernel import events, restrictions, vault
from troth.terms import Sealed

WHO, NOW = cast.AGREED, cast.NOW
SCOPE = "purchases/2026Q4"


@pytest.fixture
def box():
    return cast.with_keys(cast.vault(), WHO)


def test_the_version_after_every_one_there_ever_was_is_asked_for_once_the_old_is_destroyed(box):
    keys = box.keys
    assert keys.following(WHO, NOW, SCOPE) == 1
    keys.make([(WHO, SCOPE, 1)])
    assert keys.following(WHO, NOW, SCOPE) == 2
    keys.make([(WHO, SCOPE, 2)])
    keys.shred(WHO, [SCOPE], NOW, 2)
    assert keys.following(WHO, NOW, SCOPE) == 3
    keys.shred(WHO, [SCOPE], NOW)
    assert keys.following(WHO, NOW, SCOPE) == 3
    assert keys.following(WHO, NOW, "views/2026Q4") == 1


def test_no_key_and_a_living_and_a_destroyed_version_stay_three_answers(box):
    row = Sealed(SCOPE, 0, 1, b"")
    with pytest.raises(NotFound) as told:
        box.keys.key(WHO, NOW, SCOPE)
    assert not isinstance(told.value, vault.Shredded)
    box.keys.make([(WHO, SCOPE, 1)])
    row = box.seal_chunk(WHO, SCOPE, 0, 1, b"one", NOW)
    assert not box.is_gone(WHO, row, NOW)
    box.keys.make([(WHO, SCOPE, 2)])
    newer = box.seal_chunk(WHO, SCOPE, 0, 2, b"two", NOW)
    assert not box.is_gone(WHO, row, NOW)
    box.keys.shred(WHO, [SCOPE], NOW, 2)
    assert box.is_gone(WHO, row, NOW)
    assert not box.is_gone(WHO, newer, NOW)
    assert box.keys.has(WHO, NOW, SCOPE)
    assert not box.keys.destroyed(WHO, NOW, SCOPE)
    box.keys.shred(WHO, [SCOPE], NOW)
    assert box.is_gone(WHO, newer, NOW)
    assert box.keys.destroyed(WHO, NOW, SCOPE)


def test_a_value_outside_any_quarter_is_gone_with_the_persons_own_key(box):
    (row,) = box.seal_values(WHO, {"name.given": "x"}, {}, NOW)
    assert not box.is_gone(WHO, row, NOW)
    box.keys.shred(WHO, None, NOW)
    assert box.is_gone(WHO, row, NOW)


def test_an_old_version_is_never_made_again(tmp_path):
    from troth.adapters.sqlite import keys as key_files

    key_files.create(tmp_path / "keys", cast.WORKSPACE, cast.Stream(b"files"))
    store = key_files.FileKeyStore(tmp_path / "keys", cast.WORKSPACE)
    one = vault.Keyring(cast.WORKSPACE, store, cast.Stream(b"one"))
    other = vault.Keyring(cast.WORKSPACE, store, cast.Stream(b"other"))
    one.make([(WHO, "", 1), (WHO, SCOPE, 1)])
    other.load([WHO], NOW)
    fence = store.fence()
    one.make([(WHO, SCOPE, 2)])
    assert store.fence() == fence + 1
    other.load([WHO], NOW)
    assert other.key(WHO, NOW, SCOPE).kver == 2
    one.shred(WHO, [SCOPE], NOW, 2)
    with pytest.raises(Conflict):
        one.make([(WHO, SCOPE, 1)])
    store.close()


def test_the_journal_line_of_a_deletion_names_quarters_and_versions_and_no_more():
    said = events.BehaviourDeleted(
        3, "period", {"views/2026Q1#0": 0}, {"views/2026Q1": 2, "purchases/2026Q1": 1}, "own wish"
    )
    act, facts, seq = restrictions.line(WHO, said, 9)
    assert (act, seq) == ("partial", 9)
    assert facts == {
        "psid": WHO.hex(), "scopes": "purchases/2026Q1,views/2026Q1", "kver": "1,2",
        "rule": "person.wish",
    }  # fmt: skip
