"""A shop with its site open: a small workspace of its own, level 3 also opens what was looked at."""

import itertools
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import marula
from starlette.testclient import TestClient

from troth.app import site
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web.server import build_app
from troth.terms import Instant, instant

ORIGIN = "https://marula.example"
HOME = Path(__file__).parents[2] / "src/troth/data/demo/content"
REPORT = {"demo_time": "", "provenance": "planted"}
PRODUCTS = (
    "item,group,department,name,sensitive\n1001,tea,d,Rooibos tea,no\n1002,bread,d,Seed loaf,no\n"
    "1003,flour,d,Plain flour,no\n6661,wine,d,Planted merlot,yes\n"
)
numbers = itertools.count()


@cache
def _made() -> Path:
    folder = Path(mkdtemp(prefix="troth-site-")) / "house"
    folder.mkdir()
    write_drafts(folder, marula.NOW)
    open_level_three(folder)
    shutil.copytree(HOME, folder / "content", dirs_exist_ok=True)
    (folder / "products.csv").write_text(PRODUCTS)
    marula.app.init(folder)
    house = marula.House(folder)
    house.ws.apply()
    listed = marula.registry_hash("stranger@mail.example")
    house.take("registry", listed, head=marula.registry_head(marula.days_ago(15)))
    house.ws.close()
    return folder


def open_level_three(folder: Path) -> None:
    path = folder / "troth.toml"
    text = re.sub(r'^3 = \["purchases\.13w".*\]$', '3 = ["purchases.13w", "views.13w"]',
                  path.read_text(), flags=re.M)  # fmt: skip
    path.write_text(text)


@dataclass
class Site:
    """One opened shop and its site; `browser()` is a visitor's browser on a page of the shop."""

    house: marula.House
    app: object

    @property
    def ws(self):
        return self.house.ws

    def browser(self, **headers) -> "Browser":
        client = TestClient(self.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
        client.headers.update({"origin": ORIGIN, **headers})
        return Browser(self, client)

    def size(self) -> int:
        with self.ws.store.look() as view:
            return view.log.size

    def visitor(self, browser):
        return site.visitor(self.ws, browser.cookie)

    def types(self, person):
        return [event.type for event in self.house.chain(person)]

    def key(self):
        return {"authorization": f"Bearer {self.app.state.hub.shown_key}"}

    def identify(self, browser, outside):
        answer = TestClient(self.app, base_url="http://127.0.0.1:8400").post(
            "/api/v1/site/identify",
            json={"visitor": browser.cookie, "person": outside},
            headers=self.key(),
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Browser:
    """A browser: what the script does, said by hand."""

    site: Site
    client: TestClient

    @property
    def cookie(self) -> str:
        """The visitor's cookie; https alone takes a secure one back, so it is kept by hand."""
        return self.kept

    kept: str = ""

    def headers(self, **more):
        found = {name.replace("_", "-"): value for name, value in more.items()}
        return {**({"cookie": f"troth_visitor={self.kept}"} if self.kept else {}), **found}

    def token(self, session, notice="site@1", **headers):
        answer = self.client.get(
            f"/api/v1/site/token?session={session}&notice={notice}",
            headers=self.headers(**headers),
        )
        return answer.json().get("token", ""), answer

    def say(self, purpose="site", given=True, key="", **told):
        session = f"{next(numbers):032x}"
        notice = told.pop("notice", "site@1")
        token, _ = self.token(session, notice)
        body = {"purpose": purpose, "given": given, "notice": notice, "session": session,
                "token": token, **told}  # fmt: skip
        return self.send(body, key or f"key-{session}")

    def send(self, body, key, **headers):
        answer = self.client.post(
            "/api/v1/site/consent", json=body, headers=self.headers(idempotency_key=key, **headers)
        )
        self.take(answer)
        return answer

    def take(self, answer):
        said = answer.headers.get("set-cookie", "")
        found = re.match(r'troth_visitor="?([0-9a-f]*)', said)
        if found:
            self.kept = found[1]

    def look_at(self, *items, **headers):
        events = [{"kind": "view", "item": each} for each in items]
        return self.client.post(
            "/api/v1/site/events", json={"v": 1, "events": events}, headers=self.headers(**headers)
        )

    def slot(self, name="home", **headers):
        return self.client.get(f"/api/v1/content/{name}", headers=self.headers(**headers))


def opened(folder: Path, at=marula.NOW) -> Site:
    """Copy the shop into `folder` and open it."""
    target = folder / "house"
    if not target.exists():
        shutil.copytree(_made(), target)
    house = marula.House(target, at)
    return Site(house, build_app(house.ws, REPORT, None))


def later(found: Site, moment) -> Site:
    """Open the same shop again at another moment."""
    found.house.at(moment)
    return Site(found.house, build_app(found.ws, REPORT, None))


def now(found: Site) -> Instant:
    return instant(found.house.when())
