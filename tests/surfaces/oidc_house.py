"""A workspace whose staff may sign in by an identity provider: its folder, its app, its clock."""

import shutil
import tempfile
from atexit import register
from pathlib import Path

import pytest
from hub_shop import NOW
from staff_house import StaffHouse

from troth import app as house
from troth.adapters.system import FixedClock, SystemClock
from troth.app import oidc
from troth.app import staff as wiring
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Instant, Role, instant

SECRET = "s3cret+ of the tests/%"
BOTH = "both@marula.example"


def oidc_house(issuer: str, *, more: str = "", url: str = "") -> StaffHouse:
    """Make one that trusts `issuer`; a second. Its clock begins now: a real provider's runs too."""
    folder = Path(tempfile.mkdtemp(prefix="troth-oidc-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    write_drafts(folder, NOW)
    path = folder / "troth.toml"
    text = path.read_text("utf-8").replace("[roles]", f'[roles]\nagency = ["{BOTH}"]')
    text = text.replace("support = [", f'support = ["{BOTH}", ')
    text += f'\n[signin.oidc]\nissuer = "{issuer}"\nclient_id = "troth"\n{more}\n'
    path.write_text(text + (f'\n[console]\nurl = "{url}"\n' if url else ""), "utf-8")
    house.init(folder)
    clock = FixedClock(Instant(SystemClock().now()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "SystemClock", lambda: clock)
        ws = house.open(folder, at=instant(NOW))
        ws.apply()
        oidc.secret(ws.settings).write(SECRET)
        made = StaffHouse(folder, ws, build_app(ws, None, None), clock)
    register(ws.close)
    return made


def alarms(h: StaffHouse) -> list[str]:
    """The alarms of the house chain."""
    with h.ws.store.look() as view:
        chain = h.ws.desk.scribe.chain(view, h.ws.desk.scribe.house)
    return [r.event.payload.alarm for r in chain if r.event.type == "alarm.raised"]


def acts(h: StaffHouse) -> list[str]:
    return [act for act, _, _ in h.acts()]


SUPPORT = Actor(Role.SUPPORT, BOTH)
