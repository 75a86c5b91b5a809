"""Story: Declan deletes everything and holds a certificate that verifies afterwards."""

import json
from datetime import timedelta

from troth import app, crypto
from troth.app import requests as desk_of
from troth.capabilities import people, rights
from troth.capabilities.rights import certificates
from troth.capabilities.rights.requests import Asked
from troth.kernel import proof
from troth.terms import Actor, Channel, Role

MARKS = ("Declanovic", "declan@post.example", "quuxgardening", "declan-77")


def files_that_hold(folder, *marks):
    """Name the files of data/, keys/ and witness/ that hold any of these."""
    return sorted(
        path.name
        for part in ("data", "keys", "witness")
        for path in (folder / part).rglob("*")
        if path.is_file() and any(mark.encode() in path.read_bytes() for mark in marks)
    )


def test_declan_deletes_everything_and_holds_a_certificate_that_verifies_afterwards(house):
    told = {"given_name": "Declan", "family_name": "Declanovic", "interests": "quuxgardening"}
    declan = house.newcomer("declan-77", {}, email="declan@post.example", **told)
    me = Actor(Role.PERSON, declan.hex())
    assert house.codes(declan) == []

    # he asks, sees the day, and is used for nothing from that moment on
    asked = desk_of.ask_deletion(house.ws, declan, Asked("deletion"), me, wait=True)
    address = desk_of.certificate_path(house.ws, asked.id)
    assert "restricted" in house.codes(declan)
    assert house.preview([declan]).reachable == 0

    # six days later he is reminded once; a day after that the house does it by itself
    house.at(house.when() + timedelta(days=6, hours=2))
    assert desk_of.tend(house.ws)["reminded"] == 1
    house.at(house.when() + timedelta(days=1))
    assert app.Housekeeping(house.ws).round(1) == []
    assert rights.is_erased(house.desk, declan)

    # nothing of him is found, in no file and by no search
    house.ws.settle()
    assert files_that_hold(house.folder, *MARKS) == []
    assert house.person("declan-77") is None
    with house.ws.store.look() as view:
        found = people.find_by_address(house.desk, view, Channel.EMAIL, "declan@post.example")
        assert found == []
        assert rights.queue(view) == []

    # the address he kept gives him the certificate, long after he is gone
    got = certificates.handed(house.desk, address.rpartition("/")[2])
    assert set(json.loads(got.paper)["left"].values()) == {0}
    assert not any(mark in got.paper.decode() + got.proof for mark in MARKS)

    # and with the policy alone, without this house, it verifies: today and after more has happened
    policy = proof.parse_policy(
        f"log {house.ws.signer.key.vkey}\nquorum none\n", crypto.ed25519_verify
    )
    said = certificates.verify(got.paper, got.proof, policy)
    assert said["subject"] == crypto.sha256(declan + bytes.fromhex(got.data["salt"])).hex()
    house.newcomer("somebody-else")
    house.ws.sign()
    assert certificates.verify(got.paper, got.proof, policy) == said


def test_whoever_comes_back_is_somebody_new_and_a_no_still_stands(house):
    declan = house.newcomer("declan-77", {}, email="declan@post.example")
    me = Actor(Role.PERSON, declan.hex())
    house.say(declan, "withdrawn")
    made = desk_of.ask_deletion(house.ws, declan, Asked("deletion"), me, wait=False)
    desk_of.carry_out(house.ws, declan, made.id)
    back = house.newcomer("declan-78", email="declan@post.example")
    assert back != declan
    assert house.codes(back) != []
