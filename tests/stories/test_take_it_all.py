"""A customer sees what is wrong, puts it right, takes everything along, and nobody comes with it."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import marula

from troth import app, crypto
from troth.app import correcting, owndata, package, package_import
from troth.app.owndata import Eyes
from troth.capabilities import rights
from troth.capabilities.rights.package_portable import portable
from troth.kernel import proof
from troth.surfaces.demo.material import write_drafts


def test_a_customer_corrects_takes_everything_and_brings_it_to_another_house(house, tmp_path):
    me = house.person("cast-adult")
    eyes = Eyes(me, me)
    house.send([me])
    done = correcting.correct(house.ws, eyes, "name.given", "Thandi")

    made = package.build(house.ws, eyes)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(rights.stream(made))))
    data = json.loads(archive.read("data.json"))

    # the corrected value is in it, with its new source, and the old one nowhere
    name = next(row for row in data["values"] if row["field"] == "name.given")
    assert (name["value"], name["source"], name["version"]) == ("Thandi", "portal", 2)
    assert b"Thandeka" not in b"".join(made.files.values())

    # each entry is proved, the correction too, by whoever holds the file alone
    policy = proof.parse_policy(archive.read("policy").decode(), crypto.ed25519_verify)
    receipt = archive.read(f"receipts/{done.n:06}-value.corrected.tlog-proof")
    assert b"value.corrected" in proof.read_receipt(receipt, policy).event

    # what left the house and who looked stands in it, this very look as well
    assert [row["to"] for row in data["shared"]] == ["the house's own mail system"]
    assert data["readings"][-1]["fields"]
    assert any("package" in row.get("fields", ()) for row in data["readings"])

    # elsewhere the same person stands again, with what they told and did, and no yes with them
    other = tmp_path / "other"
    other.mkdir()
    write_drafts(other, marula.NOW)
    draft = other / "troth.toml"
    told = draft.read_text("utf-8")
    draft.write_text(told.replace('domain = "marula.example"', 'domain = "other.example"'))
    app.init(other)
    there = marula.House(other)
    there.ws.apply()
    file = tmp_path / "mine.zip"
    file.write_bytes(b"".join(rights.stream(made)))
    found = package_import.import_package(there.ws, file)
    again = package.build(there.ws, Eyes(found.person, found.person))
    assert portable(json.loads(again.files["data.json"])) == portable(data)
    values = owndata.values(there.ws, Eyes(found.person, found.person), ("name.given",))
    assert values == {"name.given": "Thandi"}
    assert there.codes(found.person)
    there.ws.close()


def test_a_receipt_out_of_the_file_is_checked_by_the_single_file_verifier(house, tmp_path):
    me = house.person("cast-adult")
    made = package.build(house.ws, Eyes(me, me))
    name = next(n for n in made.files if n.startswith("receipts/"))
    (tmp_path / "r.tlog-proof").write_bytes(made.files[name])
    (tmp_path / "policy").write_bytes(made.files["policy"])
    command = [sys.executable, "-m", "troth", "receipt", "verify", str(tmp_path / "r.tlog-proof"),
               "--policy", str(tmp_path / "policy")]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert "Verified" in ran.stdout
