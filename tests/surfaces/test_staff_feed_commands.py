"""The command line about staff from outside: lists of leavers, the provider's secret, SCIM's key."""

import io
import json
import sys

import pytest
from oidc_house import oidc_house
from staff_house import GARETH, LINDIWE, SIPHO

from troth.capabilities import access
from troth.surfaces import cli


@pytest.fixture(scope="module")
def h():
    return oidc_house("https://provider.example", more='claim = "email"')


def run(h, capsys, *line: str, given: str = "") -> tuple[int, str, str]:
    before, sys.stdin = sys.stdin, io.StringIO(given)
    try:
        status = cli.answer([*line, "-w", str(h.folder)])
    finally:
        sys.stdin = before
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_list_of_leavers_is_shown_first_and_done_when_asked(h, capsys, tmp_path):
    file = tmp_path / "leavers.csv"
    file.write_text(f"id,leaves\n{SIPHO.id},2020-01-01\nnobody@x.example,2020-01-01\n", "utf-8")
    status, out, _ = run(h, capsys, "staff", "leavers", str(file))
    assert status == 0
    assert "account ends now" in out
    assert "nobody of this id is listed" in out
    assert "Nothing was done" in out
    assert access.may_enter(h.office, SIPHO)
    status, out, _ = run(h, capsys, "staff", "leavers", str(file), "--now", "--json")
    told = json.loads(out)
    assert (status, told["ended"], told["done"]) == (0, 1, True)
    assert [each["state"] for each in told["leavers"]] == ["now", "unknown"]
    assert not access.may_enter(h.office, SIPHO)


def test_a_list_that_cannot_be_read_says_so(h, capsys, tmp_path):
    assert run(h, capsys, "staff", "leavers", str(tmp_path / "none.csv"))[0] != 0
    file = tmp_path / "bad.csv"
    file.write_bytes(b"id,leaves\n\xff,2020-01-01\n")
    status, _, err = run(h, capsys, "staff", "leavers", str(file))
    assert status != 0
    assert "UTF-8" in err


def test_the_providers_secret_is_taken_from_standard_input_and_never_shown(h, capsys):
    status, out, err = run(h, capsys, "staff", "oidc-secret", given="planted-Zq7\n")
    assert status == 0
    assert "planted" not in out + err
    kept = h.folder / "keys" / "oidc-client"
    assert kept.read_text("utf-8") == "planted-Zq7"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert run(h, capsys, "staff", "oidc-secret", given="")[0] != 0
    assert kept.read_text("utf-8") == "planted-Zq7"


def test_the_directorys_key_is_shown_once_and_an_id_is_let_go(h, capsys):
    status, out, _ = run(h, capsys, "staff", "scim-key", "--days", "7", "--json")
    key = json.loads(out)["key"]
    assert status == 0
    held = h.folder / "keys" / "staff.db"
    assert key.encode() not in held.read_bytes()
    status, out, _ = run(h, capsys, "staff", "oidc-unbind", f"marketer:{LINDIWE.id}")
    assert (status, "Every session is over" in out) == (0, True)
    assert h.acts()[-1] == ("unbound", "marketer", "oidc")
    assert access.may_enter(h.office, GARETH)
