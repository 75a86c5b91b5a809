"""k of n shares give a key back, fewer say nothing of it, and every mistake has its word."""

from collections import Counter
from itertools import combinations

import cast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import escrow

KEY = bytes(range(32))
HOUSE = bytes(range(16))


def split(key=KEY, shares=3, need=2, epoch=4, seed=b"escrow", house=HOUSE):
    random = cast.Stream(seed).take(escrow.drawn(len(key), need))
    return escrow.split(house, epoch, key, shares, need, random)


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 6), st.data())
def test_any_k_of_n_shares_give_the_key_back(key, shares, data):
    need = data.draw(st.integers(2, shares))
    made = split(key, shares, need)
    chosen = data.draw(st.permutations(made))[: data.draw(st.integers(need, shares))]
    assert escrow.combine(chosen) == key


def test_every_pair_and_order_of_three_gives_the_key_back():
    made = split()
    for one, other in combinations(made, 2):
        assert escrow.combine([one, other]) == escrow.combine([other, one]) == KEY
    assert escrow.combine(made) == KEY


def test_one_share_fits_every_key():
    """One byte: for each possible key there is a line through the share, and only one."""
    through = set()
    for slope in range(256):
        key = 7 ^ escrow.times(slope, 2)  # f(2) = 7
        through.add(key)
    assert len(through) == 256


def test_shares_of_a_key_look_like_chance():
    data = b"".join(s.data for n in range(400) for s in split(seed=n.to_bytes(2, "big")))
    counts = Counter(data)
    mean = len(data) / 256
    assert sum((counts[b] - mean) ** 2 / mean for b in range(256)) < 350
    planted = Counter(bytes(len(data)))
    assert sum((planted[b] - mean) ** 2 / mean for b in range(256)) > 350


def test_the_field_is_the_one_of_aes():
    """FIPS 197, 4.2: {57} by {83} is {c1}; {57} by {13} is {fe}."""
    assert (escrow.times(0x57, 0x83), escrow.times(0x57, 0x13)) == (0xC1, 0xFE)
    assert escrow.times(0, 5) == escrow.times(5, 0) == 0
    for a in range(1, 256):
        assert len({escrow.times(a, b) for b in range(256)}) == 256


def test_shares_are_these_bytes_for_ever():
    made = split(key=bytes(32), shares=2, need=2)
    random = cast.Stream(b"escrow").take(36)[4:]
    assert made[0].data == random
    assert made[1].data == bytes(escrow.times(2, byte) for byte in random)
    assert made[0].text.splitlines()[0] == "troth-escrow-1"


def test_a_share_is_read_as_it_was_written_also_by_hand():
    for share in split():
        assert escrow.read(share.text) == share
        typed = share.text.replace("\n", " \r\n\n")
        lines = [ln.lower() if ln.startswith("data") else ln for ln in typed.split("\n")]
        assert escrow.read("  " + "\n".join(lines)) == share


def test_every_mistyped_character_of_a_share_is_noticed():
    text = split()[1].text
    for place, was in enumerate(text):
        if was in "\n ":
            continue
        typed = text[:place] + ("A" if was != "A" else "B") + text[place + 1 :]
        if typed.lower() == text.lower():
            continue
        with pytest.raises(InvalidInput):
            escrow.read(typed)


@pytest.mark.parametrize(
    "text", ["", "troth-escrow-1", "hello", "troth-escrow-1\n" * 9, "\x00" * 40, "é" * 10]
)
def test_what_is_no_share_is_said_to_be_none(text):
    with pytest.raises(InvalidInput, match="no share"):
        escrow.read(text)


@given(st.text(max_size=300))
def test_any_text_is_a_share_or_refused(text):
    with pytest.raises(InvalidInput):
        escrow.read(text)


def test_data_that_is_no_base32_is_mistyped():
    share = split()[0]
    lines = share.text.splitlines()
    lines[6] = "data A"
    with pytest.raises(InvalidInput, match="share 1 is mistyped"):
        escrow.read("\n".join(lines))


def test_a_share_beyond_the_last_is_none():
    share = split()[0]
    forged = escrow.Share(HOUSE, 4, 9, 3, 2, share.set, share.key_check, share.data)
    with pytest.raises(InvalidInput, match="share 9"):
        escrow.read(forged.text)


@pytest.mark.parametrize(("shares", "need"), [(1, 1), (3, 1), (2, 3), (17, 2), (3, 0)])
def test_numbers_that_make_no_shares_are_refused(shares, need):
    with pytest.raises(InvalidInput, match="need 2"):
        escrow.split(HOUSE, 1, KEY, shares, need, bytes(36))


def test_randomness_of_another_length_is_refused():
    with pytest.raises(InvalidInput, match="length"):
        escrow.split(HOUSE, 1, KEY, 3, 2, bytes(35))


def test_too_few_shares_the_same_twice_and_none_are_refused():
    made = split(need=3)
    with pytest.raises(InvalidInput, match="2 different shares are here, 3 are needed"):
        escrow.combine([made[0], made[1], made[1]])
    with pytest.raises(InvalidInput, match="no share"):
        escrow.combine([])


def test_V7_shares_of_different_epochs_splittings_or_houses_are_told_apart():
    made = split()
    with pytest.raises(InvalidInput, match="different epochs"):
        escrow.combine([made[0], split(epoch=5, seed=b"x")[1]])
    for other in (split(seed=b"again"), split(house=bytes(16))):
        with pytest.raises(InvalidInput, match="different splittings"):
            escrow.combine([made[0], other[1]])


def test_a_forged_share_gives_nothing():
    made = split()
    flipped = bytes([made[1].data[0] ^ 1, *made[1].data[1:]])
    forged = escrow.Share(HOUSE, 4, 2, 3, 2, made[1].set, made[1].key_check, flipped)
    assert escrow.read(forged.text) == forged  # its checksum is its own: anybody can make one
    with pytest.raises(EvidenceBroken, match="forged"):
        escrow.combine([made[0], forged])
