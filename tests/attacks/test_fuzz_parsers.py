"""Whatever bytes come from outside, a parser reads them or refuses them in words; it never breaks.

Runs short here and long in the soak. Good inputs are bent in many ways: most bytes drawn at
random would be refused at the first.
"""

import contextlib
import gzip
import json
import tempfile
import tomllib
from importlib.resources import files
from pathlib import Path

import cast
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth import crypto
from troth.adapters import sources
from troth.engines import mail, signals
from troth.errors import Fault
from troth.kernel import events, ledger, proof, witnessing
from troth.surfaces.web.parts import form_of
from troth.terms import LogState

VECTORS = Path(cast.__file__).parent / "vectors"
POLICY = cast.policy(quorum="w1")
NOTE = (VECTORS / "checkpoint-cosigned.note").read_bytes()
RECEIPT = (VECTORS / "worked.tlog-proof").read_bytes()
EVENTS = [
    told["event"].encode()
    for told in json.loads((VECTORS / "events.json").read_text())["private"].values()
]
WORDS = mail.read_words(tomllib.loads((files("troth") / "data/replies.toml").read_text("utf-8")))
DSN = b"""From: MAILER-DAEMON@mx.example\r\nTo: b@brand.example\r\nSubject: Undelivered\r
Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r
--x\r\nContent-Type: text/plain\r\n\r\nno\r\n--x\r\nContent-Type: message/delivery-status\r\n\r
Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@post.example\r\nAction: failed\r
Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n--x--\r\n"""
SIGNED = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=brand.example;\r
 s=one; t=1795000000; x=1795600000; h=from:to:subject; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r
 b=AAAA\r\nFrom: a@brand.example\r\nTo: b@post.example\r\nSubject: x\r\n\r\nhello\r\n"""
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
CSV = b'external_id,email,birth_year\r\nc1,c1@post.example,1980\r\n"c,2",c2@post.example,\r\n'


def decoded(raw):
    return raw.decode("utf-8", "surrogateescape")


FOLDER = tempfile.TemporaryDirectory()


def csv_file(raw):
    path = Path(FOLDER.name) / "rows.csv"
    path.write_bytes(raw)
    for _ in sources.open_source(path, "customers").batches():
        pass


def template(raw):
    mail.parse_template(decoded(raw))


def toml_policy(raw):
    proof.parse_policy(decoded(raw), crypto.ed25519_verify)


def tiles(raw):
    with contextlib.suppress(KeyError):
        ledger.Edge.load(len(raw) % 1_000, lambda _level, _number: raw)
    with contextlib.suppress(KeyError):
        ledger.inclusion_path(0, max(1, len(raw) % 700), lambda _level, _number: raw)


def witness(raw):
    asked = witnessing.read_request(raw)
    logs = {cast.ORIGIN: POLICY.logs}
    witnessing.judge(asked, logs, LogState(3, bytes(32)), crypto.ed25519_verify)


def answer(raw):
    witnessing.cosignatures(raw, "o\n1\nx\n", POLICY.witnesses["w1"], crypto.ed25519_verify)


PARSERS = {
    "receipt": (lambda raw: proof.read_receipt(raw, POLICY), [RECEIPT]),
    "receipt as text": (lambda raw: proof.read_receipt(decoded(raw), POLICY), [RECEIPT]),
    "note": (lambda raw: proof.verify_note(decoded(raw), POLICY), [NOTE]),
    "checkpoint": (lambda raw: proof.parse_checkpoint(decoded(raw)), [NOTE.split(b"\n\n")[0] + b"\n"]),
    "verifier key": (lambda raw: proof.parse_vkey(decoded(raw)), [POLICY.logs[0].vkey.encode()]),
    "policy": (toml_policy, [(VECTORS / "worked.policy").read_bytes()]),
    "tile": (tiles, [bytes(range(256)) * 4]),
    "tile path": (lambda raw: ledger.parse_tile_path(decoded(raw)), [b"tile/0/x001/234.p/7"]),
    "witness request": (witness, [witnessing.request_body(3, [bytes(32)], NOTE.decode())]),
    "witness answer": (answer, [NOTE.rsplit(b"\n", 2)[1] + b"\n"]),
    "event": (events.decode, EVENTS),
    "public statement": (events.read_canonical, [b'{"at":"2026-11-24T08:30:00Z","type":"log.start","v":1}']),
    "returned mail": (lambda raw: mail.read_return(raw, WORDS), [DSN]),
    "signed mail": (lambda raw: mail.check_signatures(raw, lambda _selector, _domain: "", 1_795_000_000), [SIGNED]),
    "template": (template, [b'subject = "x"\nmjml = "<mjml></mjml>"\ntext = "y"\n']),
    "customers file": (csv_file, [CSV]),
    "browser signal": (lambda raw: signals.read_support("application/json", raw), [signals.support_statement("2026-11-24")]),
    "form": (lambda raw: form_of("application/x-www-form-urlencoded", raw), [b"a=1&b=%20"]),
    "form in parts": (lambda raw: form_of("multipart/form-data; boundary=x", raw), [PART]),
}  # fmt: skip


@st.composite
def bent(draw, good):
    """A good input, cut, doubled, spliced, flipped; or plain noise."""
    raw = bytearray(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        to = at + draw(st.integers(0, 40))
        match draw(st.integers(0, 6)):
            case 0:
                raw[at:to] = b""
            case 1:
                raw[at:to] = draw(st.binary(max_size=20))
            case 2:
                raw[at:at] = raw[at:to]
            case 3 if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case 4:
                raw[at:to] = draw(st.text(max_size=10)).encode("utf-8", "surrogatepass")
            case 5:
                raw[at:to] = draw(
                    st.sampled_from([b"\n\n", b"\r", b"\0", b"9" * 40, b"=" * 9, b"--x"])
                )
            case _:
                raw = bytearray(draw(st.binary(max_size=200)))
    return bytes(raw)


def attempt(name, raw):
    parse, _ = PARSERS[name]
    with contextlib.suppress(Fault):
        parse(raw)


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_a_parser_of_outside_bytes_refuses_in_words_or_reads(name):
    @settings(
        max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(bent(PARSERS[name][1]))
    def tried(raw):
        attempt(name, raw)

    tried()


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(PARSERS))
def test_for_long_a_parser_of_outside_bytes_refuses_in_words_or_reads(name):
    @settings(
        max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(bent(PARSERS[name][1]))
    def tried(raw):
        attempt(name, raw)

    tried()


@pytest.mark.parametrize("name", sorted(PARSERS))
def test_what_stands_at_the_edges_is_refused_in_words_or_read(name):
    for raw in (b"", b"\n", b"\0", b"\xff\xfe", b"\n\n\n", b"9" * 5_000, b"[" * 3_000, b"{" * 3_000,
                "\ud800".encode("utf-8", "surrogatepass"), gzip.compress(b"x")):  # fmt: skip
        attempt(name, raw)


def test_a_parser_that_breaks_is_found_by_this_very_test():
    PARSERS["planted"] = (lambda raw: tomllib.loads(decoded(raw)), [b"x = 1"])
    try:
        with pytest.raises(ValueError, match=r".*"):
            attempt("planted", b"x = = 1")
    finally:
        del PARSERS["planted"]
