"""A witness of one's own: persisted before it answers, never rolled back, by nobody at once."""

import hashlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cast
import pytest

from troth import crypto
from troth.app import witness_server as running
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound
from troth.kernel import ledger, proof, witnessing
from troth.terms import SECOND, Instant

NAME = "witness.example/w1"
LOG = ledger.log_key(cast.ORIGIN, cast.LOG_SEED)
TREE = cast.Tiles()
ROOTS = {0: proof.EMPTY_ROOT}
for _i in range(130):
    TREE.add([b"entry %d" % _i])
    ROOTS[_i + 1] = TREE.edge.root()
AT = cast.Clock(Instant(1_795_000_000 * SECOND))


def request(old, new, root=None):
    point = proof.Checkpoint(cast.ORIGIN, new, ROOTS[new] if root is None else root)
    path = ledger.consistency_path(old, new, TREE.read) if 0 < old <= new else []
    return witnessing.request_body(old, path, ledger.sign_checkpoint(point, [cast.LOG_SEED]))


@pytest.fixture
def data(tmp_path):
    running.init_witness(tmp_path / "w.db", NAME)
    return tmp_path / "w.db"


def opened(data, **more):
    return running.open_witness(data, [LOG.vkey], clock=AT, **more)


def size_of(witness):
    return dict(witness.store.logs()).get(cast.ORIGIN, 0)


def test_what_it_answers_verifies_under_a_policy_that_asks_for_it(data):
    witness = opened(data)
    line = witness.add(request(0, 5))
    text = f"log {LOG.vkey}\nwitness w1 {witness.store.vkey}\nquorum w1\n"
    policy = proof.parse_policy(text, crypto.ed25519_verify)
    point = proof.Checkpoint(cast.ORIGIN, 5, ROOTS[5])
    note = ledger.sign_checkpoint(point, [cast.LOG_SEED]) + line
    assert proof.verify_note(note, policy).size == 5
    digest = hashlib.sha256(cast.ORIGIN.encode()).hexdigest()
    assert witness.newest(digest) == note
    assert witness.newest("0" * 64) is None
    assert witness.newest("x") is None


def test_what_it_cosigned_stands_after_a_restart(data):
    opened(data).add(request(0, 5))
    again = opened(data)
    assert again.add(request(0, 9)).said == "5\n"
    assert again.add(request(5, 9)).count("\n") == 1
    assert size_of(opened(data)) == 9


def test_L3_a_second_history_is_refused_by_number_and_by_root(data):
    witness = opened(data)
    witness.add(request(0, 9))
    assert witness.add(request(9, 9, root=b"\x07" * 32)).status == 422
    assert witness.add(request(5, 9, root=b"\x07" * 32)).status == 409
    assert size_of(witness) == 9


def test_a_body_that_does_not_read_changes_nothing(data):
    witness = opened(data)
    assert witness.add(b"old 0\n\nnonsense").status == 400
    assert witness.store.logs() == []


def test_junk_signatures_beside_a_good_one_are_not_kept(data):
    witness = opened(data)
    junk = "".join(
        proof.note_line(proof.Key(f"j{i}.example", 1, bytes(32)), bytes(64)) for i in range(60)
    )
    assert isinstance(witness.add(request(0, 5) + junk.encode()), str)
    digest = hashlib.sha256(cast.ORIGIN.encode()).hexdigest()
    assert len(proof.parse_note(witness.newest(digest))[1]) == 2


def test_parallel_threads_never_roll_the_size_back(data):
    witness = opened(data)

    def push(worker):
        won = []
        for step in range(1, 31):
            size = size_of(witness)
            to = min(size + 1 + (worker + step) % 3, 130)
            if to > size and isinstance(witness.add(request(size, to)), str):
                won.append((size, to))
        return won

    with ThreadPoolExecutor(6) as pool:
        won = sorted(step for found in pool.map(push, range(6)) for step in found)
    assert [old for old, _ in won] == [0, *[new for _, new in won[:-1]]], "each step from the last"
    assert size_of(witness) == won[-1][1]


RACE = """
import sys
sys.path[:0] = sys.argv[3:]
import test_witness_server as t
from pathlib import Path
witness, won = t.opened(Path(sys.argv[1])), []
for _ in range(25):
    size = t.size_of(witness)
    to = min(size + 1 + int(sys.argv[2]), 130)
    if to > size and isinstance(witness.add(t.request(size, to)), str):
        won.append((size, to))
print(won)
"""
PATHS = [str(Path(__file__).parent), str(Path(cast.__file__).parent)]


def test_parallel_processes_never_roll_the_size_back(data):
    work = [
        subprocess.Popen([sys.executable, "-c", RACE, str(data), str(i), *PATHS],
                         stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]  # fmt: skip
    won = sorted(step for each in work for step in eval(each.communicate(timeout=60)[0]))  # noqa: S307
    assert [old for old, _ in won] == [0, *[new for _, new in won[:-1]]]
    assert size_of(opened(data)) == won[-1][1]


DIE = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
import test_witness_server as t
from pathlib import Path
from troth.kernel import ledger
witness = t.opened(Path(sys.argv[1]))
if sys.argv[2] == "before":
    real = ledger.cosign
    def cosign(*given):
        made = real(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    ledger.cosign = cosign
witness.add(t.request(5, 9))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "size"), [("before", 5), ("after", 9)])
def test_killed_between_keeping_and_answering_it_knows_what_it_may_have_said(data, when, size):
    opened(data).add(request(0, 5))
    child = subprocess.run([sys.executable, "-c", DIE, str(data), when, *PATHS], check=False)
    assert child.returncode == -signal.SIGKILL
    witness = opened(data)
    assert size_of(witness) == size
    assert isinstance(witness.add(request(size, 9)), str)
    assert witness.add(request(5, 7)).status == 409, "what it kept it never takes back"


def test_L16_a_key_whose_file_is_lost_cosigns_nothing_more(data):
    first = opened(data)
    first.add(request(0, 5))
    for part in data.parent.glob("w.db*"):
        if part.suffix != ".key":
            part.unlink()
    with pytest.raises(EvidenceBroken, match="lost"):
        opened(data)
    again = opened(data, new_key="witness.example/w1-2")
    assert again.store.vkey != first.store.vkey
    assert (data.parent / "w.db.key.retired-1").exists()
    assert size_of(again) == 0


def test_a_file_and_a_key_of_two_witnesses_are_told_apart(data, tmp_path):
    running.init_witness(tmp_path / "other.db", "witness.example/w2")
    (tmp_path / "other.db.key").replace(tmp_path / "w.db.key")
    with pytest.raises(EvidenceBroken, match="another key"):
        opened(data)


def test_a_witness_is_begun_once_and_with_a_name(data, tmp_path):
    with pytest.raises(Conflict):
        running.init_witness(data, NAME)
    for name in ("", "a b", "a+b"):
        with pytest.raises(InvalidInput):
            running.init_witness(tmp_path / "new.db", name)
    with pytest.raises(NotFound):
        opened(tmp_path / "none.db")
    with pytest.raises(InvalidInput):
        running.open_witness(data, [opened(data).store.vkey])


def test_a_damaged_file_answers_nothing(data):
    opened(data)
    data.write_bytes(b"no database at all" * 100)
    with pytest.raises(EvidenceBroken):
        opened(data)


def test_the_private_half_is_its_owners_alone(data):
    assert (data.parent / "w.db.key").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o600


# Over the net


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def served(data):
    port = free_port()
    command = [sys.executable, "-m", "troth", "witness", "serve", "--data", str(data),
               "--port", str(port), "--log", LOG.vkey]  # fmt: skip
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    child.terminate()
    child.wait(10)


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_over_http_it_answers_as_the_standard_says(served):
    status, _, raw = ask(served, "POST", "/add-checkpoint", request(0, 5))
    assert status == 200
    assert raw.startswith("\u2014 witness.example/w1 ".encode())
    status, headers, raw = ask(served, "POST", "/add-checkpoint", request(0, 9))
    assert (status, headers["content-type"], raw) == (409, "text/x.tlog.size", b"5\n")
    digest = hashlib.sha256(cast.ORIGIN.encode()).hexdigest()
    status, _, raw = ask(served, "GET", f"/{digest}/checkpoint")
    assert status == 200
    assert proof.parse_checkpoint(proof.parse_note(raw.decode())[0]).size == 5
    assert ask(served, "GET", f"/{'0' * 64}/checkpoint")[0] == 404
    assert ask(served, "GET", "/witness.vkey")[0] == 200
    assert ask(served, "GET", "/add-checkpoint")[0] == 405
    assert ask(served, "POST", "/add-checkpoint", b"x" * 70_000)[0] == 413
    assert ask(served, "POST", "/add-checkpoint", b"old 0\n")[0] == 400
