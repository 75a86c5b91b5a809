"""A value planted in every field is in no output that was not agreed to carry it."""

import quopri
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula
import pytest
from starlette.testclient import TestClient

from troth import app
from troth.surfaces.web.server import build_app

PLAIN = "identity.name;interests.declared"
CATS = ("", "", PLAIN, f"{PLAIN};purchases.13w", f"{PLAIN};purchases.13w;purchases.52w")


def planted(n):
    return {
        "given_name": f"Gname{n}q",
        "family_name": f"Fname{n}q",
        "interests": f"hob{n}q;craft{n}q",
        "email": f"mail{n}q@post.example",
        "phone": f"+2755501{n:04}",
    }


def people(house):
    out = {}
    for n in range(5):
        who = f"pl{n}"
        house.take(
            "customers",
            {
                "external_id": who,
                **marula.BLANK,
                **planted(n),
                "relation_kind": "sale",
                "relation_at": marula.days_ago(200),
            },
        )
        acts = [{"idempotency_key": f"{who}a"}]
        if CATS[n]:
            acts.append(
                {
                    "idempotency_key": f"{who}b",
                    "purpose": "personalise",
                    "channels": "",
                    "notice": "personalise@2",
                    "categories": CATS[n],
                    "level": str(n),
                }
            )
        house.consents(who, *acts)
        house.take(
            "events",
            *(
                {
                    "external_id": who,
                    "at": marula.days_ago(d),
                    "kind": "purchase",
                    "item": i,
                    "group": f"grp{n}q",
                    "amount_minor": str(770000 + n),
                    "currency": "ZAR",
                    "units": "1",
                    "store": f"9{n}1",
                }
                for d, i in ((20, "1001"), (200, "1002"))
            ),
        )
        out[n] = house.person(who)
    return out


def allowed(n):
    told = {f"mail{n}q@post.example"}
    if n >= 2:
        told |= {f"Gname{n}q", f"hob{n}q", f"craft{n}q"}
    return told


def secrets():
    return (
        {v for n in range(5) for each in planted(n).values() for v in each.split(";")}
        | {str(770000 + n) for n in range(5)}
        | {f"grp{n}q" for n in range(5)}
    )


def found(raw: bytes):
    texts = [raw, quopri.decodestring(raw), raw.replace(b"=\r\n", b"")]
    low = [t.lower() for t in texts]
    return {s for s in secrets() if any(s.lower().encode() in t for t in low)}


def test_a_mail_carries_what_its_reader_agreed_to_and_no_file_carries_anything(house):
    who = people(house)
    assert house.send(list(who.values())).handed == 5
    for mail in house.mails():
        raw = mail.path.read_bytes()
        n = int(re.search(r"mail(\d)q", mail.rcpt_to[0])[1])
        got = found(raw)
        assert got <= allowed(n), (n, got - allowed(n))
        text = quopri.decodestring(raw)
        if n < 3:
            assert b"Rooibos tea" not in text
        if n < 4:
            assert b"You came by" not in text
    for path in house.folder.rglob("*"):
        if path.is_file() and not path.name.endswith(".csv") and "inbox" not in str(path):
            got = found(path.read_bytes())
            assert not got, (path, got)


MASKED = {f"{word}{n}q" for word in ("hob", "craft") for n in (2, 3, 4)}
"""What a look at real people may show: interests of those who agreed, and never who they are."""
TEXT = 'name = "x"\npurpose = "offers"\n[where]\nall = [ { has_sale = {} } ]\n'
ASKED = {
    "/console/campaigns": {"name": "c1", "audience": "winback", "template": "winback"},
    "/console/campaigns/c1/count": {},
    "/console/campaigns/c1/submit": {},
    "/console/campaigns/c1/test": {},
    "/console/segments/new": {"do": "count", "expert": "1", "text": TEXT},
    "/console/people": {"case": "c", "outside": "pl2"},
    "/console/messages/winback": {"do": "test", "level": "5"},
    "/console/messages/winback/look": {"level": "all"},
}
READ = (
    "/console", "/console/report", "/console/campaigns/c1", "/console/campaigns/c1/results",
    "/console/calendar", "/console/segments", "/console/site", "/levels", "/refused", "/",
)  # fmt: skip


@pytest.mark.parametrize("role", ["marketer", "privacy_officer", "support", "it"])
def test_no_page_header_address_or_log_shows_a_planted_value(house, role, capsys):
    people(house)
    app.rebuild_reach(house.ws, marula.MARKETER)
    (house.folder / "inbox").mkdir(exist_ok=True)
    report = {"demo_time": marula.NOW.isoformat(), "provenance": "invented"}
    pages = build_app(house.ws, report, house.folder / "inbox")
    client = TestClient(pages, base_url="http://127.0.0.1:8400", follow_redirects=True)
    client.post(f"/doors/{role}")
    token, many = "", 0

    def look(method, path, may=frozenset(), **more):
        nonlocal token, many
        answer = client.request(method, path, **more)
        many += answer.status_code == 200
        shown = found(answer.content + str(answer.headers).encode() + str(answer.url).encode())
        assert shown <= may, (path, shown)
        if seen := re.search(r'name="form" value="([^"]+)"', answer.text):
            token = seen[1]
        return answer.text

    for page in ("people", "list", "staff"):
        look("GET", f"/console/{page}")
    for _ in range(4):
        said = look("POST", "/console/messages/winback/people", MASKED, data={"form": token})
        for frame in re.findall(r"/console/messages/frame/[0-9a-f]+/\w+", said):
            look("GET", frame, MASKED)
    for path, told in ASKED.items():
        look("POST", path, data={"form": token, **told})
    for path in READ:
        look("GET", path)
    assert many > 5
    assert not found(capsys.readouterr().err.encode())
