"""A workspace whose staff sign in for real: no demo, a clock that a test moves, soft passkeys."""

import base64
import functools
import hashlib
import json
import re
import shutil
import tempfile
from atexit import register
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from hub_shop import NOW
from starlette.testclient import TestClient

from troth import app as house
from troth.adapters.system import FixedClock
from troth.app import staff as wiring
from troth.capabilities import access
from troth.capabilities.access import rules
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import SECOND, Actor, Instant, Role, instant

HOME = "http://localhost:8400"
LINDIWE = Actor(Role.MARKETER, "lindiwe@marula.example")
SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
GARETH = Actor(Role.IT, "gareth@marula.example")
NOKUTHULA = Actor(Role.OFFICER, "nokuthula@marula.example")
FATIMA = Actor(Role.SUPPORT, "fatima@marula.example")
START = 1_800_000_000 * SECOND


@dataclass
class StaffHouse:
    """The workspace, its app, the machine's clock."""

    folder: Path
    ws: house.Workspace
    app: object
    clock: FixedClock

    @property
    def office(self) -> access.Office:
        return self.app.state.hub.kept["office"]

    def later(self, seconds: float) -> None:
        self.clock.set(Instant(self.clock.now() + int(seconds * SECOND)))

    def settle(self) -> None:
        """Let every wait and session of an earlier test be over, and nobody be suspended."""
        self.later(3600 * 30)
        for member in access.members(self.office):
            if member.state == "suspended":
                access.restore(self.office, member.actor, GARETH)

    def browser(self, **headers) -> TestClient:
        return TestClient(self.app, base_url=HOME, follow_redirects=False, headers=headers)

    def invited(self, who: Actor) -> str:
        """A fresh link's token, whatever state the account was in."""
        state = next(m.state for m in access.members(self.office) if m.actor == who)
        if state == "suspended":
            access.restore(self.office, who, GARETH)
            return self.invited(who)
        run = access.reset if state == "active" else access.invite
        return run(self.office, who, GARETH)

    def enrolled(self, who: Actor) -> tuple[TestClient, bytes, list[str]]:
        """A browser signed in by a new account with codes; its secret; its recovery codes."""
        token, client = self.invited(who), self.browser()
        text = client.get(f"/enrol/{token}").text
        secret = base64.b32decode(
            re.search(r"<code>([A-Z2-7 ]+)</code>", text)[1].replace(" ", "")
        )
        self.later(60)
        answer = client.post(
            f"/enrol/{token}", data={"form": hidden(text, "form"), "code": self.code(secret)}
        )
        assert answer.status_code == 200, answer.text
        return client, secret, re.findall(r"<code>([0-9A-Z-]{19})</code>", answer.text)

    def code(self, secret: bytes) -> str:
        return rules.totp(secret, self.clock.now() // (30 * SECOND), 6)

    def sign_in(self, client: TestClient, who: str, code: str, onward: str = ""):
        text = client.get("/signin", params={"next": onward} if onward else {}).text
        form = {"form": hidden(text, "form"), "next": hidden(text, "next")}
        return client.post("/signin", data={**form, "id": who, "code": code})

    def acts(self) -> list[tuple[str, str, str | None]]:
        """What the house chain says about accounts, oldest first: act, role, method."""
        with self.ws.store.look() as view:
            chain = self.ws.desk.scribe.chain(view, self.ws.desk.scribe.house)
        said = [r.event.payload for r in chain if r.event.type == "staff.acted"]
        return [(p.act, p.account.partition("/")[0], p.method) for p in said]

    def raw(self) -> bytes:
        with self.ws.store.look() as view:
            chain = self.ws.desk.scribe.chain(view, self.ws.desk.scribe.house)
        return b"".join(r.raw for r in chain)


@functools.cache
def staff_house() -> StaffHouse:
    """Make it, once a run; a second."""
    folder = Path(tempfile.mkdtemp(prefix="troth-staff-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    write_drafts(folder, NOW)
    house.init(folder)
    clock = FixedClock(Instant(START))
    patch = pytest.MonkeyPatch()
    patch.setattr(wiring, "SystemClock", lambda: clock)
    ws = house.open(folder, at=instant(NOW))
    ws.apply()
    made = StaffHouse(folder, ws, build_app(ws, None, None), clock)
    patch.undo()
    register(ws.close)
    return made


def hidden(text: str, name: str) -> str:
    """The value of a hidden field, as a browser would send it."""
    return re.search(rf'name="{name}" value="([^"]*)"', text)[1].replace("&amp;", "&")


def options(text: str) -> dict:
    """What a page asks the browser about passkeys."""
    found = re.search(r'data-options="([^"]*)"', text)[1]
    return json.loads(found.replace("&#34;", '"').replace("&amp;", "&"))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class SoftKey:
    """An authenticator in software: one passkey, ES256, counting its signatures."""

    def __init__(self, origin: str = HOME, rp: str = "localhost") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.count, self.origin, self.rp = (
            b"soft-" + b64(self.raw()).encode(),
            0,
            origin,
            rp,
        )
        self.id = hashlib.sha256(self.id).digest()
        self.flags = 0x05  # present and verified

    def raw(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def client_data(self, kind: str, challenge: str, **more) -> bytes:
        told = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin, **more}
        return json.dumps(told).encode()

    def head(self, flags: int) -> bytes:
        rp = hashlib.sha256(self.rp.encode()).digest()
        return rp + bytes([flags]) + self.count.to_bytes(4, "big")

    def create(self, asked: dict, **more) -> str:
        raw = self.raw()
        cose = {1: 2, 3: -7, -1: 1, -2: raw[:32], -3: raw[32:]}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.encode(cose)
        data = self.head(self.flags | 0x40) + attested
        whole = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client = self.client_data("create", asked["challenge"], **more)
        return self._told({"clientDataJSON": client, "attestationObject": whole})

    def get(self, asked: dict, **more) -> str:
        self.count += 1
        data = self.head(self.flags)
        client = self.client_data("get", asked["challenge"], **more)
        signed = data + hashlib.sha256(client).digest()
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._told(
            {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        )

    def _told(self, response: dict[str, bytes]) -> str:
        return json.dumps(
            {
                "id": b64(self.id),
                "rawId": b64(self.id),
                "type": "public-key",
                "response": {name: b64(raw) for name, raw in response.items()},
                "clientExtensionResults": {},
            }
        )


def with_passkey(h: StaffHouse, who: Actor) -> tuple[TestClient, SoftKey]:
    """A browser signed in by a new account with a passkey."""
    token, client, key = h.invited(who), h.browser(), SoftKey()
    text = client.get(f"/enrol/{token}").text
    form = {"form": hidden(text, "form"), "credential": key.create(options(text))}
    answer = client.post(f"/enrol/{token}", data=form)
    assert answer.status_code == 200, answer.text
    return client, key


def use_passkey(h: StaffHouse, key: SoftKey, client: TestClient | None = None, **more):
    """Sign in by a passkey; the answer."""
    client = client or h.browser()
    text = client.get("/signin").text
    form = {
        "form": hidden(text, "form"),
        "next": "/console",
        "credential": key.get(options(text), **more),
    }
    return client.post("/signin", data=form)


def say_of(answer) -> str:
    """Why a sign-in led back."""
    found = re.search(r"say=(\w+)", unquote(answer.headers["location"]))
    return found[1] if found else ""
