"""Attacks on what stands beside other systems: nothing widens, nothing leaks, nothing is forged."""

import csv
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from marula import NOW, House, make
from starlette.testclient import TestClient

from troth.adapters import outbound
from troth.app import connections as wired
from troth.app import incoming
from troth.capabilities import access, connections, rights
from troth.capabilities.connections.hooks import RETRY_S
from troth.engines import webhooks
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.surfaces.web.server import build_app
from troth.terms import DAY, Action, Actor, Instant, Refusal, Role, instant

IT = Actor(Role.IT, "gareth@marula.example")
SYSTEM = Actor(Role.SYSTEM, "t")
EXPORT = frozenset({Action.EXPORT})
OFTEN = ("consent.withdrawn", "suppression.added", "processing.restricted", "person.erasing")


class Made:
    """A house, its app, and keys made on first use."""

    def __init__(self, folder):
        self.house = House(folder)
        self.app = build_app(self.house.ws, None, None)
        self.client = TestClient(self.app, base_url="http://127.0.0.1:8400")
        self.keys, self.n = {}, 0

    @property
    def ws(self):
        return self.house.ws

    def key(self, name, role, actions=EXPORT):
        if name not in self.keys:
            office = self.app.state.hub.kept["office"]
            self.keys[name] = access.make_key(office, name, role, actions, 30, IT)
        return {"authorization": f"Bearer {self.keys[name]}"}

    def post(self, path, body, ident="k1", **more):
        head = {**self.key("crm", Role.OFFICER), "idempotency-key": ident, **more}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(path, content=raw, headers=head)

    def feed(self, since="", key=None, **asked):
        params = {"purpose": "offers", "channel": "email", "since": since, **asked}
        head = key or self.key("mailtool", Role.OFFICER)
        return self.client.get("/api/v1/permissions", params=params, headers=head)

    def whole(self, since=""):
        rows, more = [], True
        while more:
            told = self.feed(since).json()
            rows, since, more = [*rows, *told["rows"]], told["cursor"], told["more"]
        return rows, since

    def who(self, *acts, **facts):
        self.n += 1
        return self.house.newcomer(f"cn-{self.n}", *acts, **facts)

    def size(self):
        with self.ws.store.look() as view:
            return view.log.size


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("connections") / "marula"
    make(folder)
    with (folder / "troth.toml").open("a") as toml:
        toml.write(
            '\n[connections.letters]\npurpose = "offers"\nchannel = "email"\nfile = "letters.csv"\n'
            '\n[connections.agency]\npurpose = "offers"\nagreement = "acme"\nfile = "a.csv"\n'
        )
    return Made(folder)


def by_person(rows):
    return {row["person"]: row for row in rows}


def chain(made, who):
    return [e.payload for e in made.house.chain(who)]


# Permissions out


def test_every_answer_that_leaves_is_in_its_persons_chain_first(made):
    yes, no = made.who({}), made.who()
    rows, cursor = made.whole()
    told = by_person(rows)
    assert (told["cn-1"]["may"], told["cn-1"]["code"]) == ("yes", "")
    assert (told["cn-2"]["may"], told["cn-2"]["code"]) == ("no", "not_customer")
    assert told["cn-1"]["until"] > told["cn-1"]["since"]
    for who, last in ((yes, "use.permitted"), (no, "use.refused")):
        leaving, asked = chain(made, who)[-2:]
        assert (leaving.type, leaving.action, leaving.purpose) == (
            "use.permitted", "export", "connections",
        )  # fmt: skip
        assert (asked.type, asked.action, asked.channel) == (last, "send", "email")
    again, after = made.whole(cursor)
    assert again == []
    made.house.say(yes, "withdrawn")
    changed, _ = made.whole(after)
    assert [(r["person"], r["may"], r["code"]) for r in changed] == [("cn-1", "no", "withdrawn")]


def test_a_lost_page_loses_no_stop(made):
    who, gone = made.who({}), made.who({})
    _, cursor = made.whole()
    _, cursor = made.whole(cursor)
    made.house.say(who, "withdrawn")
    made.ws.erase(gone, "rq-lost")
    lost = made.feed(cursor).json()["rows"]
    for n in range(3):
        made.who()
        again, _ = made.whole(cursor) if n == 2 else (made.feed(cursor).json()["rows"], "")
        assert {r["ref"] for r in lost} <= {r["ref"] for r in again}
        assert {r["may"] for r in again if r["ref"] in {x["ref"] for x in lost}} == {"no"}
    assert len(lost) == 2
    _, after = made.whole(cursor)
    assert made.whole(after)[0] == []


def test_each_person_stands_once_in_a_first_pass(made):
    rows, _ = made.whole()
    refs = [row["ref"] for row in rows]
    assert len(refs) == len(set(refs))
    other = made.feed(key=made.key("other", Role.OFFICER)).json()["rows"]
    assert not {row["ref"] for row in other} & set(refs)


def test_of_a_restricted_or_erased_person_nothing_leaves_but_the_stop(made):
    shut, left, never = made.who({}), made.who({}), made.who({})
    rights.restrict(made.house.desk, never, "accuracy contested", SYSTEM)
    rows, cursor = made.whole()
    refs = {r["person"]: r["ref"] for r in rows}
    names = [f"cn-{n}" for n in (made.n - 2, made.n - 1, made.n)]
    assert refs.keys() >= set(names[:2])
    assert names[2] not in refs
    rights.restrict(made.house.desk, shut, "accuracy contested", SYSTEM)
    made.ws.erase(left, "rq-1")
    changed, after = made.whole(cursor)
    assert {(r["ref"], r["person"], r["may"], r["code"]) for r in changed} == {
        (refs[name], "", "no", "gone") for name in names[:2]
    }
    assert "restricted" in str(chain(made, shut)[-1].reasons)
    assert made.whole(after)[0] == []


def test_a_key_of_a_wrong_role_or_without_the_action_learns_nothing(made):
    before = made.house.house_chain()
    for name, role, actions in (
        ("seller", Role.MARKETER, EXPORT),
        ("helper", Role.SUPPORT, EXPORT),
        ("asker", Role.OFFICER, frozenset({Action.READ})),
    ):
        answer = made.feed(key=made.key(name, role, actions))
        assert answer.status_code == 403, name
        assert "cn-" not in answer.text
    said = [e.payload for e in made.house.house_chain()[len(before) :]]
    assert any(isinstance(s, events.HouseRefused) and s.action == "export" for s in said)
    assert made.client.get("/api/v1/permissions").status_code == 401


@pytest.mark.parametrize("since", ["x", "-1", "999999999", "1-", "0-99999999", "1;2"])
def test_a_cursor_somebody_made_up_is_refused(made, since):
    assert made.feed(since).status_code == 400


def test_where_another_company_runs_it_only_a_live_agreement_opens_it(made):
    refused = wired.sync_out(made.ws, "agency", SYSTEM)
    assert isinstance(refused, Refusal)
    assert "agreement_missing" in {r.code for r in refused.reasons}
    assert not (made.house.folder / "a.csv").exists()


def test_a_sync_to_a_file_tells_each_change_once_and_no_cell_runs(made):
    made.house.newcomer("=cmd|'/c calc'!A1", {})
    done = wired.sync_out(made.ws, "letters", SYSTEM)
    path = made.house.folder / "letters.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == sum(done.rows.values())
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]
    assert path.stat().st_mode & 0o777 == 0o600
    assert sum(wired.sync_out(made.ws, "letters", SYSTEM).rows.values()) == 0
    acts = [e.payload for e in made.house.house_chain()]
    assert [a.act for a in acts if isinstance(a, events.ConnectionActed)][-2:] == ["sent", "sent"]
    with pytest.raises(NotFound):
        wired.sync_out(made.ws, "nobody", SYSTEM)


# Stops and choices in


def test_a_stop_that_comes_in_binds_the_very_next_decision(made):
    who = made.who({})
    assert made.house.codes(who) == []
    row = {"address": f"cn-{made.n}@post.example", "reason": "unsubscribe"}
    answer = made.post("/api/v1/suppressions", {"rows": [row]}, "stop-1")
    assert answer.json() == {"outcomes": {"stopped": 1}, "rejected": []}
    assert {"suppressed_unsubscribe", "withdrawn"} <= set(made.house.codes(who))
    size = made.size()
    replay = made.post("/api/v1/suppressions", {"rows": [row]}, "stop-1")
    assert replay.json() == answer.json()
    assert made.size() == size
    assert made.post("/api/v1/suppressions", {"rows": [row]}, "stop-2").json() == answer.json()
    assert made.size() == size


def test_a_key_used_again_with_another_body_is_a_conflict(made):
    rows = {"rows": [{"address": "stranger@post.example"}]}
    assert made.post("/api/v1/suppressions", rows, "same").status_code == 200
    other = {"rows": [{"address": "other@post.example"}]}
    assert made.post("/api/v1/suppressions", other, "same").status_code == 409
    assert made.post("/api/v1/suppressions", rows, "").status_code == 400
    assert made.post("/api/v1/suppressions", rows, "x" * 201).status_code == 400


def test_an_idempotency_key_is_forgotten_after_seven_days(made):
    desk = made.house.desk
    connections.remember(desk, "w", "k", b"body", b"answer")
    assert connections.remembered(desk, "w", "k", b"body") == b"answer"
    assert connections.remembered(desk, "v", "k", b"body") is None
    with pytest.raises(Conflict):
        connections.remembered(desk, "w", "k", b"other")
    later = NOW.timestamp() * 1_000_000 + 8 * DAY
    made.ws.clock.set(Instant(int(later)))
    try:
        assert connections.remembered(desk, "w", "k", b"other") is None
    finally:
        made.ws.clock.set(instant(NOW))


def test_nothing_that_comes_in_widens(made):
    silent, stopped = made.who(), made.who({})
    made.house.say(stopped, "withdrawn")
    names = (f"cn-{made.n - 1}", f"cn-{made.n}")
    full = {"purpose": "offers", "status": "given", "channels": ["email"],
            "at": "2026-06-01T10:00:00Z", "notice": "offers@3", "method": "checkbox",
            "proof": "form:1"}  # fmt: skip
    for number, missing in enumerate(("notice", "method", "proof", "at")):
        rows = [{k: v for k, v in full.items() if k != missing} | {"person": n} for n in names]
        answer = made.post("/api/v1/consents", {"rows": rows}, f"wide-{number}")
        assert answer.json()["outcomes"]["unproven"] == 2, missing
        assert made.house.codes(silent) == ["not_customer"]
        assert made.house.codes(stopped) == ["withdrawn"]
    everywhere = full | {"channels": ["all"], "person": names[0]}
    made.post("/api/v1/consents", {"rows": [everywhere]}, "wide-all")
    assert made.house.codes(silent) == ["not_customer"]
    older = full | {"person": names[1]}
    made.post("/api/v1/consents", {"rows": [older]}, "older")
    assert made.house.codes(stopped) == ["withdrawn"]


def test_who_sells_does_not_write_down_who_agreed(made):
    rows = {"rows": [{"person": "cn-1", "purpose": "offers", "status": "given"}]}
    head = made.key("seller", Role.MARKETER)
    answer = made.post("/api/v1/consents", rows, "s1", **head)
    assert answer.status_code == 403
    stop = {"rows": [{"address": "gone@post.example"}]}
    assert made.post("/api/v1/suppressions", stop, "s2", **head).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"rows": []}', b'{"rows": [{"adress": "x@y.example"}]}', b"\xff",
     b'{"rows": [{"address": 1}]}', b'{"rows": ["x"]}', b"[" * 5000],
)  # fmt: skip
def test_a_batch_that_does_not_read_is_refused_and_never_repeated_back(made, body):
    for path in ("/api/v1/suppressions", "/api/v1/consents"):
        answer = made.post(path, body, "bad")
        assert answer.status_code == 400
        assert "example" not in answer.text


def test_rows_that_mean_nothing_are_counted_and_the_others_taken(made):
    rows = [
        {"address": "no address"}, {"address": "a@post.example", "channel": "pigeon"},
        {"address": "a@post.example", "purpose": "planted"},
        {"address": "a@post.example", "reason": "because"}, {}, {"person": "nobody"},
        {"address": "kept@post.example", "reason": "complaint"},
    ]  # fmt: skip
    told = made.post("/api/v1/suppressions", {"rows": rows}, "mixed").json()
    assert told["rejected"] == [0, 1, 2, 3, 4]
    assert told["outcomes"] == {"address_kept": 1, "rejected": 5, "unknown_person": 1}


def test_a_mail_tools_file_narrows_and_what_it_calls_subscribed_stays_unknown(made, tmp_path):
    who, other = made.who({}), made.who()
    path = tmp_path / "tool.csv"
    path.write_text(
        "Email,Person,Status,Purpose,At\n"
        f"cn-{made.n - 1}@post.example,,Unsubscribed,,2026-11-01T10:00:00Z\n"
        f",cn-{made.n},subscribed,offers,2026-11-01T10:00:00Z\n"
        "x@post.example,,planted,,\n"
    )
    taken = incoming.sync_in(made.ws, path, SYSTEM)
    assert taken.outcomes["stopped"] == taken.outcomes["unproven"] == 1
    assert taken.rejected == [2]
    assert "suppressed_unsubscribe" in made.house.codes(who)
    assert made.house.codes(other) == ["not_customer"]
    path.write_text("email\nx@post.example\n")
    with pytest.raises(InvalidInput, match="status"):
        incoming.sync_in(made.ws, path, SYSTEM)


# Webhooks


@pytest.fixture
def listener():
    got, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()
    server.server_close()


def hook(made, name, url, under="connections", kinds=OFTEN):
    wanted = connections.Hook(name, url, kinds, under, local=True)
    return webhooks.read_secret(wired.add_webhook(made.ws, wanted, IT))


def told(got):
    return [json.loads(body) for _, body in got]


def test_a_stop_is_told_signed_decided_and_without_personal_data(made, listener):
    url, got, _ = listener
    secret = hook(made, "shop", url)
    who = made.who({})
    made.house.say(who, "withdrawn")
    made.ws.follow()
    assert wired.deliver_webhooks(made.ws) >= 1
    headers, body = got[-1]
    assert webhooks.verify([secret], headers, body, int(headers["webhook-timestamp"]))
    data = json.loads(body)["data"]
    assert data["person"] == f"cn-{made.n}"
    assert (data["purpose"], data["channels"]) == ("offers", ["email"])
    assert "@" not in body.decode()
    assert "Planted" not in body.decode()
    last = chain(made, who)[-1]
    assert (last.type, last.action, last.purpose) == ("use.permitted", "export", "connections")
    made.ws.follow()
    assert wired.deliver_webhooks(made.ws) == 0
    wired.end_webhook(made.ws, "shop", IT)


def test_where_the_purpose_lists_no_number_a_pseudonym_is_all_that_leaves(made, listener):
    url, got, _ = listener
    hook(made, "blind", url, under="operations")
    who = made.who({})
    made.house.say(who, "withdrawn")
    made.ws.follow()
    wired.deliver_webhooks(made.ws)
    data = told(got)[-1]["data"]
    assert "person" not in data
    assert who.hex() not in json.dumps(data)
    assert len(data["ref"]) == 26
    wired.end_webhook(made.ws, "blind", IT)


def test_of_who_is_restricted_or_left_only_the_stop_is_told(made, listener):
    url, got, _ = listener
    hook(made, "last", url)
    shut, left = made.who({}), made.who({})
    rights.restrict(made.house.desk, shut, "accuracy contested", SYSTEM)
    made.house.say(shut, "withdrawn")
    made.ws.erase(left, "rq-2")
    made.ws.follow()
    wired.deliver_webhooks(made.ws)
    kinds = [(each["type"], "person" in each["data"]) for each in told(got)]
    assert sorted(kinds) == [("person.erasing", False), ("processing.restricted", False)]
    assert left.hex() not in str(got)
    wired.end_webhook(made.ws, "last", IT)


def test_a_delivery_is_tried_for_three_days_under_one_id_and_then_given_up(made, listener):
    url, got, statuses = listener
    hook(made, "slow", url)
    who = made.who({})
    made.house.say(who, "withdrawn")
    made.ws.follow()
    statuses += [500, 302, 404] + [503] * 20
    now = NOW.timestamp()
    try:
        for seconds in (0, *RETRY_S):
            now += seconds + 1
            made.ws.clock.set(Instant(int(now * 1_000_000)))
            wired.deliver_webhooks(made.ws)
    finally:
        made.ws.clock.set(Instant(int(now * 1_000_000)))
    assert len({h["webhook-id"] for h, _ in got}) == 1
    assert len(got) == 10
    held = next(s for s in wired.webhook_list(made.ws) if s.hook.name == "slow")
    assert (held.dead, held.waiting, bool(held.failing)) == (1, 0, True)
    assert 3 * 86_400 <= sum(RETRY_S) <= 4 * 86_400


def test_while_a_secret_is_replaced_both_sign(made, listener):
    url, got, _ = listener
    old = hook(made, "turning", url)
    new = webhooks.read_secret(wired.rotate_webhook(made.ws, "turning", IT))
    assert wired.test_webhook(made.ws, "turning", IT)
    headers, body = got[-1]
    for secret in (old, new):
        webhooks.verify([secret], headers, body, int(headers["webhook-timestamp"]))
    newest = webhooks.read_secret(wired.rotate_webhook(made.ws, "turning", IT))
    wired.test_webhook(made.ws, "turning", IT)
    headers, body = got[-1]
    webhooks.verify([newest], headers, body, int(headers["webhook-timestamp"]))
    with pytest.raises(InvalidInput):
        webhooks.verify([old], headers, body, int(headers["webhook-timestamp"]))
    path = made.house.folder / "keys" / "webhook-turning.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    wired.end_webhook(made.ws, "turning", IT)
    assert not path.exists()
    with pytest.raises(NotFound):
        wired.test_webhook(made.ws, "turning", IT)


@pytest.mark.parametrize(
    "url",
    ["https://169.254.169.254/latest", "https://localhost/x", "https://127.0.0.1/x",
     "https://[::1]/x", "https://[::ffff:169.254.169.254]/x", "https://10.0.0.8/x",
     "https://[64:ff9b::7f00:1]/x", "https://2130706433/x", "https://0x7f000001/x",
     "https://metadata.internal/x", "https://printer.local/x", "http://shop.example/x",
     "https://user:pass@shop.example/", "ftp://shop.example/", "https://", "file:///etc/passwd",
     "https://0.0.0.0/", "https://[fe80::1%25eth0]/x"],
)  # fmt: skip
def test_no_webhook_points_into_a_private_network(made, url):
    with pytest.raises(InvalidInput):
        wired.add_webhook(made.ws, connections.Hook("ssrf", url, OFTEN, "connections"), IT)
    assert "ssrf" not in {s.hook.name for s in wired.webhook_list(made.ws)}


def test_a_name_that_leads_into_a_private_network_is_not_connected_to(monkeypatch):
    answers = [(2, 1, 6, "", ("169.254.169.254", 443)), (10, 1, 6, "", ("::ffff:10.0.0.1", 443))]
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_a, **_k: answers)
    monkeypatch.setattr(outbound.socket, "create_connection", lambda *_a: pytest.fail("connected"))
    with pytest.raises(Unavailable, match="private network"):
        outbound.Reached(outbound.read_place("https://rebinding.example/x"))


def test_a_forged_or_replayed_message_from_another_system_is_not_believed():
    secret, body, now = b"k" * 32, b'{"type":"x"}', 1_795_000_000
    good = webhooks.sign(secret, "m1", now, body)
    assert webhooks.verify([secret], good, body, now) == "m1"
    for headers, raw, at in (
        (good, body + b" ", now),
        ({**good, "webhook-id": "m2"}, body, now),
        (good, body, now + 301),
        ({**good, "webhook-signature": "v1,AAAA"}, body, now),
        ({}, body, now),
        (webhooks.sign(b"z" * 32, "m1", now, body), body, now),
    ):
        with pytest.raises(InvalidInput):
            webhooks.verify([secret], headers, raw, at)


def test_a_webhook_is_told_of_what_narrows_and_of_nothing_else(made):
    for kinds in ((), ("consent.given",), ("message.handed",), ("*",)):
        with pytest.raises(InvalidInput):
            hook(made, "wide", "https://shop.example/x", kinds=kinds)
    with pytest.raises(InvalidInput):
        hook(made, "No Name", "https://shop.example/x")
    with pytest.raises(InvalidInput):
        hook(made, "nowhere", "https://shop.example/x", under="planted")


def test_a_push_that_is_not_taken_is_shown_and_begins_there_again(made, listener):
    url, got, statuses = listener
    text = (made.house.folder / "troth.toml").read_text()
    secret = made.house.folder / "keys" / "crm.secret"
    secret.write_text(webhooks.secret_text(b"p" * 32))
    secret.chmod(0o600)
    made.ws.settings.connections["crm"] = {
        "purpose": "offers", "url": url, "local": True, "secret": "keys:crm",
    }  # fmt: skip
    made.who({})
    statuses.append(500)
    with pytest.raises(Unavailable):
        wired.sync_out(made.ws, "crm", SYSTEM)
    assert wired.sync_state(made.ws, "crm").failing
    done = wired.sync_out(made.ws, "crm", SYSTEM)
    assert done.rows["yes"] >= 1
    headers, body = got[-1]
    webhooks.verify([b"p" * 32], headers, body, int(headers["webhook-timestamp"]))
    state = wired.sync_state(made.ws, "crm")
    assert state.last
    assert not state.failing
    secret.chmod(0o644)
    with pytest.raises(Unavailable, match="open to others"):
        wired.sync_out(made.ws, "crm", SYSTEM)
    assert "crm.secret" not in text


@pytest.mark.parametrize("reference", ["", "crm", "keys:", "keys:../troth", "keys:a/b", "env:X"])
def test_a_secret_is_named_by_reference_into_the_key_folder_alone(made, reference):
    from troth.app.channels import secrets_of

    with pytest.raises(InvalidInput):
        secrets_of(made.house.folder / "keys", reference)
