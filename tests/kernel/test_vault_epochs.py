"""Keys read before and after an epoch ended open alike; what was destroyed stays told apart."""

import cast
import pytest

from troth import crypto
from troth.errors import EvidenceBroken, NotFound, Unavailable
from troth.kernel import vault
from troth.terms import KeyRow

A, B, NOW = cast.AGREED, cast.WITHDREW, cast.NOW
QUARTER = "purchases/2026Q4"


class Epochs(cast.MemoryKeys):
    """A key store whose shard keys are renewed."""

    def roll(self, moving=True):
        """Renew every shard key; rows follow unless this is the instant between the two."""
        old = {
            row.person: self.shard_key(vault.shard_of(row.person))[1]
            for row in self.table.values()
        }
        self.epoch += 1
        self._shards.clear()
        for place, row in list(self.table.items()):
            if not moving or row.state == "shredded":
                continue
            _, fresh = self.shard_key(vault.shard_of(row.person))
            before, after = crypto.Aead(old[row.person]), crypto.Aead(fresh)
            self.table[place] = vault.rewrap(
                before, after, self._random.take(12), cast.WORKSPACE, row, self.epoch
            )
        self.counter += 1


@pytest.fixture
def store():
    return Epochs()


@pytest.fixture
def ring(store):
    made = vault.Keyring(cast.WORKSPACE, store, cast.Stream(b"ring"))
    made.make([(A, "", 1), (B, "", 1)])
    return made


def test_a_row_read_before_a_roll_is_read_again_at_its_first_use(ring, store):
    ring.load([A, B], NOW)
    store.roll()
    assert ring.key(A, NOW).kver == ring.key(B, NOW, kver=1).kver == 1


def test_a_row_of_another_epoch_is_broken_even_when_read_again(ring, store):
    ring.load([A], NOW)
    store.roll(moving=False)
    with pytest.raises(EvidenceBroken, match="another epoch"):
        ring.key(A, NOW)
    with pytest.raises(EvidenceBroken, match="another epoch"):
        ring.key(A, NOW)


class Busy(Epochs):
    """A store in which an epoch ends each time a key is stored, so many times."""

    ends = 0

    def add(self, rows):
        if self.ends:
            self.ends -= 1
            raise vault.Rewrapped("moved")
        super().add(rows)


def test_a_key_is_wrapped_again_where_an_epoch_ended_meanwhile():
    store = Busy()
    ring = vault.Keyring(cast.WORKSPACE, store, cast.Stream(b"busy"))
    store.ends = vault.TRIES - 1
    ring.make([(A, "", 1)])
    assert ring.key(A, NOW).kver == 1
    store.ends = vault.TRIES
    with pytest.raises(Unavailable, match="keeps changing"):
        ring.make([(B, "", 1)])


def test_V17_a_data_key_that_was_replaced_is_told_apart_from_a_person_who_was_erased(ring, store):
    ring.make([(A, "", 2)])
    store.table[A, "", 1] = KeyRow(A, "", 1, "shredded", b"", b"", 1, NOW)
    store.counter += 1
    assert ring.key(A, NOW).kver == 2
    with pytest.raises(vault.Shredded):
        ring.key(A, NOW, kver=1)
    for scope, kver in ((QUARTER, 0), ("", 7)):
        with pytest.raises(NotFound) as told:
            ring.key(A, NOW, scope, kver)
        assert type(told.value) is NotFound
    store.shred(A, None, NOW)
    ring.load([A], NOW)
    for scope, kver in (("", 0), ("", 7), (QUARTER, 0), (QUARTER, 2)):
        with pytest.raises(vault.Shredded):
            ring.key(A, NOW, scope, kver)


@pytest.fixture
def box(ring):
    return vault.Vault(ring, cast.Stream(b"box"), cast.LABELS)


def test_a_row_is_sealed_anew_under_the_newest_key_in_the_same_place(box, ring):
    row = box.seal_values(A, {"name.given": "Ayanda"}, {"name.given": 4}, NOW)[0]
    assert box.reseal(A, row, NOW) is None
    ring.make([(A, "", 2)])
    again = box.reseal(A, row, NOW)
    assert (again.field, again.row, again.version) == ("name.given", 0, 4)
    assert [vault.read_header(r.rec)[0] for r in (row, again)] == [1, 2]
    assert box.value_mac(A, row, NOW) == box.value_mac(A, again, NOW)


def test_a_chunk_is_sealed_anew_under_its_quarters_key(box, ring):
    ring.make([(A, QUARTER, 1)])
    row = box.seal_chunk(A, QUARTER, 3, 2, b"plain", NOW)
    ring.make([(A, "", 2)])
    assert box.reseal(A, row, NOW) is None
    ring.make([(A, QUARTER, 2)])
    assert vault.read_header(box.reseal(A, row, NOW).rec)[0] == 2


def test_traces_are_a_persons_values_and_what_does_not_open_is_left_out(box, ring, store):
    rows = box.seal_values(A, {"name.given": "Ayanda", "secret.note": "zq"}, {}, NOW)
    assert box.traces(A, rows, NOW) == [b"Ayanda", b"zq"]
    assert box.traces(B, rows, NOW) == []
    store.shred(A, None, NOW)
    ring.load([A], NOW)
    assert box.traces(A, rows, NOW) == []
