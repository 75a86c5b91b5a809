"""A witness says to each request exactly what the standard says, and cosigns one history."""

import cast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth import crypto
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import ledger, proof, witnessing
from troth.terms import LogState

KEY = ledger.log_key(cast.ORIGIN, cast.LOG_SEED)
LOGS = {cast.ORIGIN: (KEY,)}
TREE = cast.Tiles()
ROOTS = {0: proof.EMPTY_ROOT}
for _i in range(40):
    TREE.add([b"entry %d" % _i])
    ROOTS[_i + 1] = TREE.edge.root()


def note(size, root=None, seeds=(cast.LOG_SEED,), origin=cast.ORIGIN):
    point = proof.Checkpoint(origin, size, ROOTS[size] if root is None else root)
    return ledger.sign_checkpoint(point, list(seeds))


def path(old, new):
    return ledger.consistency_path(old, new, TREE.read) if old > 0 else []


def body(old, new, hashes=None, **about):
    return witnessing.request_body(
        old, path(old, new) if hashes is None else hashes, note(new, **about)
    )


def said(raw, last=0, logs=LOGS):
    held = LogState(last, ROOTS[last])
    refused = witnessing.judge(witnessing.read_request(raw), logs, held, crypto.ed25519_verify)
    return (refused.status, refused.said) if refused else (200, "")


def test_a_first_a_later_and_a_repeated_checkpoint_are_cosigned():
    assert said(body(0, 5)) == (200, "")
    assert said(body(5, 40), 5) == (200, "")
    assert said(body(40, 40), 40) == (200, "")
    assert said(body(0, 0)) == (200, "")


def test_an_unknown_origin_is_404():
    assert said(body(0, 5, origin="other.example/ledger"))[0] == 404


def test_no_trusted_signature_or_a_wrong_one_is_403():
    assert said(body(0, 5, seeds=[b"\x09" * 32]))[0] == 403
    two = {cast.ORIGIN: (KEY, ledger.log_key(cast.ORIGIN, b"\x09" * 32))}
    good = note(5)
    other = proof.parse_note(note(6, seeds=[b"\x09" * 32]))[1][0]
    spoilt = good + proof.note_line(two[cast.ORIGIN][1], other.signature)
    assert said(witnessing.request_body(0, [], good), logs=two)[0] == 200
    assert said(witnessing.request_body(0, [], spoilt), logs=two)[0] == 403


def test_an_old_size_beyond_the_checkpoint_is_400():
    assert said(body(7, 5, hashes=[]), 7)[0] == 400


def test_another_old_size_than_the_last_is_409_and_tells_the_last():
    asked = witnessing.read_request(body(5, 9))
    refused = witnessing.judge(asked, LOGS, LogState(7, ROOTS[7]), crypto.ed25519_verify)
    assert (refused.status, refused.said, refused.kind) == (409, "7\n", "text/x.tlog.size")
    assert said(body(5, 9))[1] == "0\n"


def test_what_does_not_continue_is_422():
    forged = [bytes(32) for _ in path(5, 9)]
    assert said(body(5, 9, hashes=forged), 5)[0] == 422
    assert said(body(0, 9, hashes=[bytes(32)]))[0] == 422
    assert said(body(9, 9, hashes=[], root=b"\x07" * 32), 9)[0] == 422
    assert said(body(0, 0, root=b"\x07" * 32))[0] == 422
    assert said(body(5, 9, hashes=[]), 5)[0] == 422


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"old 0\n", b"old 0\n\nx", b"new 0\n\n" + note(5).encode(), b"old -1\n\n" + note(5).encode(),
        b"old 00\n\n" + note(5).encode(), b"old 0\nAA==\n\n" + note(5).encode(),
        b"old 0\n!\n\n" + note(5).encode(), b"old 0\n\n\xff", b"x" * (witnessing.MAX_BODY + 1),
        b"old 5\n" + (proof.b64(bytes(32)) + "\n").encode() * 64 + b"\n" + note(9).encode(),
        b"old 0\n\n" + note(5).replace("\n5\n", "\n5\nmore\n").encode(),
    ],
)  # fmt: skip
def test_what_does_not_read_is_refused(raw):
    with pytest.raises(InvalidInput):
        witnessing.read_request(raw)


def test_sixty_three_hashes_are_read():
    read = witnessing.read_request(witnessing.request_body(5, [bytes(32)] * 63, note(9)))
    assert len(read.path) == 63


WITNESS = proof.Key(
    cast.WITNESS, proof.ED25519_COSIGNATURE, crypto.ed25519_public(cast.WITNESS_SEED)
)


def answered(size=5, at=1_795_000_000, seed=cast.WITNESS_SEED, name=cast.WITNESS):
    return (ledger.cosign(note(size), name, seed, at).rsplit("\n", 2)[1] + "\n").encode()


def checked(answer, text=None):
    text = proof.parse_note(note(5))[0] if text is None else text
    return witnessing.cosignatures(answer, text, WITNESS, crypto.ed25519_verify)


def test_a_cosignature_is_taken_only_if_it_holds_under_the_witnesss_own_key():
    line, at = checked(answered())
    assert (line.encode(), at) == (answered(), 1_795_000_000)
    foreign = answered(seed=b"\x09" * 32, name="other.example/w")
    assert checked(foreign + answered())[0] == line
    for wrong in (
        answered(6), answered(at=0), answered(seed=b"\x09" * 32), foreign, b"", b"\xff", b"yes\n",
        answered().replace(b"A", b"B", 1), answered()[:-20] + b"\n", answered() + answered(),
    ):  # fmt: skip
        with pytest.raises(EvidenceBroken):
            checked(wrong)


def test_a_short_signature_of_the_witnesss_key_is_no_cosignature():
    with pytest.raises(EvidenceBroken):
        checked(proof.note_line(WITNESS, b"12345678").encode())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 41), st.integers(0, 40), st.booleans()), max_size=12))
def test_whatever_is_asked_the_cosigned_sizes_only_grow_and_are_one_history(steps):
    last = 0
    for old, new, honest in steps:
        root = None if honest else b"\x07" * 32
        try:
            hashes = path(old, new)
        except InvalidInput:
            hashes = []
        if said(body(old, new, hashes=hashes, root=root), last)[0] == 200:
            assert new >= last
            assert honest or last == 0, "a first checkpoint has nothing to contradict"
            if not honest:
                return
            last = new
