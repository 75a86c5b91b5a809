"""A message is kept without its constant part, and comes back as it was signed or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import mail
from troth.engines.mail.packing import Skeleton
from troth.errors import EvidenceBroken

pieces = st.binary(max_size=40)


@given(pieces, st.lists(st.tuples(pieces, pieces), max_size=5), pieces)
def test_what_is_packed_is_unpacked_to_the_very_bytes(head, holes, headers):
    rest = tuple(part for constant, _ in holes for part in (b"", constant))
    values = tuple(value for _, value in holes)
    skeleton = Skeleton.of(head, rest, tuple(range(0, len(rest), 2)))
    body = head + b"".join(value + constant for constant, value in holes)
    packed = mail.pack(headers + body, body, values, skeleton)
    kept = Skeleton.read(skeleton.key, skeleton.data)
    assert kept == skeleton
    assert mail.unpack(packed, {skeleton.key: kept}.__getitem__) == headers + body


def test_a_changed_constant_part_is_refused():
    skeleton = Skeleton.of(b"head", (b"", b"tail"), (0,))
    with pytest.raises(EvidenceBroken):
        Skeleton.read(skeleton.key, skeleton.data.replace(b"tail", b"tale"))


@pytest.mark.parametrize("packed", [b"", b"\x93", b"\xc0"])
def test_bytes_that_are_no_packed_message_are_refused(packed):
    with pytest.raises(EvidenceBroken):
        mail.unpack(packed, lambda _: Skeleton.of(b"", (), ()))


def test_a_message_of_another_frame_is_refused():
    skeleton = Skeleton.of(b"head", (b"", b"tail"), (0,))
    packed = mail.pack(b"xheadvtail", b"headvtail", (b"v",), skeleton)
    with pytest.raises(EvidenceBroken):
        mail.unpack(packed, lambda _: Skeleton.of(b"other", (), ()))
