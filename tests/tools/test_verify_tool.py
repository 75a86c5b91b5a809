"""The one-file verifier stands alone and says the same as the library."""

import importlib.util
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import cast
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from troth import crypto
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import proof

ROOT = Path(cast.__file__).resolve().parents[1]
VECTORS = ROOT / "tests/vectors"
RECEIPT = (VECTORS / "worked.tlog-proof").read_bytes()


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder, command = load("verify_tool"), load("verify_main")
check = command.ed25519_check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds the tool, a receipt, a policy and nothing else."""
    place = tmp_path_factory.mktemp("alone")
    (place / "troth-verify.py").write_text(builder.build(), encoding="utf-8")
    (place / "worked.tlog-proof").write_bytes(RECEIPT)
    (place / "policy").write_bytes((VECTORS / "worked.policy").read_bytes())
    return place


def run(folder, *words):
    return subprocess.run(
        [sys.executable, "-I", "troth-verify.py", *words],
        cwd=folder, capture_output=True, text=True, timeout=60, env={},
    )  # fmt: skip


def test_the_tool_imports_nothing_but_the_standard_library():
    modules = set(re.findall(r"^(?:from|import) ([a-zA-Z0-9_.]+)", builder.build(), re.MULTILINE))
    assert modules
    assert {m.split(".")[0] for m in modules} <= set(sys.stdlib_module_names)


def test_the_worked_receipt_verifies_alone_and_shows_its_event(folder):
    told = run(folder, "worked.tlog-proof", "policy")
    assert (told.returncode, told.stderr) == (0, "")
    first, _, event = told.stdout.partition("\n")
    assert first == (
        "Verified: entry 3 of 5 in the ledger brand.example/ledger records exactly this event:"
    )
    assert json.loads(event)["type"] == "consent.withdrawn"


def test_an_erased_receipt_verifies_and_shows_nothing(folder):
    (folder / "erased").write_bytes((VECTORS / "worked-erased.tlog-proof").read_bytes())
    told = run(folder, "erased", "policy")
    assert told.returncode == 0
    assert "{" not in told.stdout


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ((b"index 3", b"index 2"), 1, "NOT VERIFIED"),
        ((b"eyJhdCI6", b"eyJhdCI7"), 1, "NOT VERIFIED"),
        ((b"index 3", b"index 03"), 2, "Cannot be checked"),
        ((b"@v1", b"@v2"), 2, "Cannot be checked"),
    ],
)
def test_a_changed_receipt_is_not_verified(folder, change, status, word):
    (folder / "changed").write_bytes(RECEIPT.replace(*change))
    told = run(folder, "changed", "policy")
    assert (told.returncode, told.stdout) == (status, "")
    assert told.stderr.startswith(word)
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    "words",
    [(), ("policy",), ("nowhere", "policy"), (".", "policy"), ("policy", "worked.tlog-proof")],
)
def test_a_malformed_question_is_bad_input_not_a_crash(folder, words):
    told = run(folder, *words)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr


MANY = """
import runpy, sys, os
tool = runpy.run_path("troth-verify.py")
sys.stdout = sys.stderr = open(os.devnull, "w")
codes = [tool["main"]([f"m{i}", "policy"]) for i in range(int(sys.argv[1]))]
sys.__stdout__.write("".join(map(str, codes)))
"""


def test_none_of_two_hundred_edits_verifies_alone(folder):
    rng, edits = random.Random(11), set()
    while len(edits) < 200:
        raw = bytearray(RECEIPT)
        at = rng.randrange(len(raw))
        kind = rng.randrange(3)
        if kind == 0:
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del raw[at]
        else:
            raw.insert(at, rng.choice(b"A/+= \n\r0\x00"))
        if bytes(raw) != RECEIPT:
            edits.add(bytes(raw))
    for i, raw in enumerate([*sorted(edits), RECEIPT]):
        (folder / f"m{i}").write_bytes(raw)
    told = subprocess.run(
        [sys.executable, "-I", "-c", MANY, "201"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={},
    )
    assert told.returncode == 0, told.stderr
    assert len(told.stdout) == 201
    assert told.stdout[-1] == "0"
    assert set(told.stdout[:-1]) == {"1", "2"}


# Ed25519


RFC_8032 = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", b""),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", b"\x72"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", b"\xaf\x82"),
]


def test_the_first_signature_of_rfc_8032_verifies():
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
        "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert check(public, signature, b"")
    assert not check(public, signature, b"\x00")


@pytest.mark.parametrize(("seed", "message"), RFC_8032)
def test_signatures_of_the_library_verify(seed, message):
    seed = bytes.fromhex(seed)
    assert check(crypto.ed25519_public(seed), crypto.ed25519_sign(seed, message), message)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.data())
def test_the_check_says_what_the_library_says_of_good_and_of_altered_signatures(
    seed, message, data
):
    public, signature = crypto.ed25519_public(seed), crypto.ed25519_sign(seed, message)
    assert check(public, signature, message)
    at = data.draw(st.integers(0, 64 + 32 - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    raw = bytearray(signature + public)
    raw[at] ^= bit
    altered, other = bytes(raw[:64]), bytes(raw[64:])
    assert (
        check(other, altered, message) == crypto.ed25519_verify(other, altered, message) is False
    )


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
@example(b"\xff" * 32, b"\x00" * 64)
@example((2**255 - 19).to_bytes(32, "little"), b"\x00" * 64)
def test_what_the_check_accepts_the_library_accepts(public, signature):
    if check(public, signature, b"m"):
        assert crypto.ed25519_verify(public, signature, b"m")


def test_a_signature_has_no_second_form():
    seed = b"\x09" * 32
    public, signature = crypto.ed25519_public(seed), crypto.ed25519_sign(seed, b"m")
    scalar = int.from_bytes(signature[32:], "little") + command.ORDER
    again = signature[:32] + scalar.to_bytes(32, "little")
    assert not check(public, again, b"m")
    assert not crypto.ed25519_verify(public, again, b"m")
    y = int.from_bytes(public, "little") & (1 << 255) - 1
    if y < 19:
        assert not check((y + command.P).to_bytes(32, "little"), signature, b"m")


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65])
def test_keys_and_signatures_of_another_length_are_a_plain_no(length):
    assert not check(b"\x01" * length, b"\x01" * 64, b"")
    assert not check(b"\x01" * 32, b"\x01" * length, b"")


def test_library_and_tool_agree_on_the_worked_receipt():
    text = (VECTORS / "worked.policy").read_text()
    proof.verify_receipt(RECEIPT, proof.parse_policy(text, check))
    wrong = RECEIPT.replace(b"bGKB", b"bGKC")
    with pytest.raises((InvalidInput, EvidenceBroken)):
        proof.verify_receipt(wrong, proof.parse_policy(text, check))
