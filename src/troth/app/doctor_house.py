"""What the doctor looks at in the house itself: drafts, ledger, days, sources, recipients."""

from collections.abc import Iterator
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from troth.adapters.system import SystemClock
from troth.app import documents, notices, requests, scans
from troth.app.checks import Check
from troth.app.housekeeping import DAYS, UNSIGNED_MAX, state
from troth.app.workspace import Workspace
from troth.capabilities.trust.recipients import HERE, recipients
from troth.kernel.calendars import local_date
from troth.kernel.desk import CLOCK_SLACK
from troth.terms import (
    Action,
    Actor,
    Claim,
    Role,
    UseRequest,
)

_NOBODY: Final = Actor(Role.MARKETER, "nobody@nowhere.invalid")


def relay(opened: Workspace) -> Iterator[Check]:
    """Look how mail travels to the relay; a hand-over that is to be encrypted refuses without."""
    s, title = opened.settings, "Mail travels to the relay encrypted"
    ident = "relay.tls"
    if s.relay_security != "none":
        yield Check(ident, "shared", title, "good",
                    f"Each hand-over demands {s.relay_security} or stops")  # fmt: skip
    elif s.relay_host in HERE:
        yield Check(ident, "shared", title, "good", "The relay is this machine itself")
    else:
        yield Check(ident, "shared", title, "bad", "Mail goes to another machine in clear",
                    'set security = "starttls" or "tls" under [mail]')  # fmt: skip


def console(opened: Workspace) -> Iterator[Check]:
    """Look how staff reach the console from elsewhere."""
    title, url = "Staff reach the console by https", opened.settings.console_url
    if url.startswith("https://"):
        yield Check("console.https", "acquired", title, "good", "The console's address is https")
    elif url:
        yield Check("console.https", "acquired", title, "bad", "The console's address is no https",
                    "put a proxy with a certificate before it")  # fmt: skip
    else:
        yield Check("console.https", "acquired", title, "off",
                    "The console is reached from this machine only")  # fmt: skip


def told(opened: Workspace) -> Iterator[Check]:
    """Look whether notices tell what the law wants told before data is taken."""
    title = "Notices tell what the law wants told"
    with opened.store.look() as view:
        published = view.published("house")
    if published is None:
        yield Check("notices.told", "acquired", title, "unknown", "Nothing is published yet",
                    "run: troth apply")  # fmt: skip
        return
    missing = notices.missing(opened.settings.folder, published.data)
    if missing:
        yield Check("notices.told", "acquired", title, "bad",
                    f"{len(missing)} things are not told, the first in {missing[0].file}",
                    missing[0].remedy)  # fmt: skip
    else:
        yield Check("notices.told", "acquired", title, "good", "Every notice draft was read")


def policy(opened: Workspace) -> Iterator[Check]:
    """Ask the staff policy as somebody nobody knows; the answer must be no."""
    title = "A stranger is refused"
    with opened.store.look() as view:
        house = opened.desk.house(view)
        now = view.now
    asked = [
        UseRequest(_NOBODY, opened.desk.scribe.house, name, Action.READ, None, frozenset(), now)
        for name in house.purposes
    ]
    said_yes = [each for each in asked if isinstance(opened.desk.policy.claim(each), Claim)]
    if said_yes:
        yield Check("policy.stranger", "used", title, "bad",
                    f"{len(said_yes)} purposes open for an unknown member of staff",
                    "withdraw the policy published last")  # fmt: skip
    else:
        yield Check("policy.stranger", "used", title, "good",
                    f"Asked just now for each of {len(house.purposes)} purposes")  # fmt: skip


def running(opened: Workspace) -> Iterator[Check]:
    """Look at clock, signed head and followers, as `troth status` does."""
    found, now = state(opened), SystemClock().now()
    title = "The clock is right"
    if found.behind > CLOCK_SLACK:
        yield Check("clock.behind", "stored", title, "bad",
                    f"The clock lags the record by {found.behind // 1_000_000:,} seconds",
                    "set the machine's clock; until then nothing is written")  # fmt: skip
    else:
        yield Check("clock.behind", "stored", title, "good", "It does not lag the record")
    title = "The ledger's head is signed"
    if found.signed < found.size and now - found.signed_at > UNSIGNED_MAX:
        yield Check("ledger.signed", "stored", title, "bad",
                    f"{found.size - found.signed:,} entries are signed by nobody for over an hour",
                    "start a worker, or run: troth sign")  # fmt: skip
    elif not found.size or not found.signed_at:
        yield Check("ledger.signed", "stored", title, "unknown", "Nothing was signed yet",
                    "run: troth sign")  # fmt: skip
    else:
        yield Check("ledger.signed", "stored", title, "good",
                    f"{found.signed:,} of {found.size:,} entries")  # fmt: skip
    red = [each.name for each in found.followers if each.red]
    title = "What follows an event is done"
    if red:
        yield Check("followers.red", "deleted", title, "bad", f"It hangs at: {', '.join(red)}",
                    "see troth status; it is tried again each minute")  # fmt: skip
    else:
        yield Check("followers.red", "deleted", title, "good",
                    f"{len(found.followers)} followers keep up")  # fmt: skip


def _day(raw: bytes) -> str:
    told = date.fromisoformat(raw.decode())
    return f"{told.day} {told:%B %Y}"


def days(opened: Workspace) -> Iterator[Check]:
    """Look whether retention ran, and whether somebody waits for an answer or an erasure."""
    with opened.store.look() as view:
        raw = view.row(DAYS, b"last")
        today = local_date(view.now, opened.settings.zone)
        late = requests.overdue(view)
    title = "What is kept too long is deleted each day"
    if raw is None:
        yield Check("retention.ran", "deleted", title, "unknown", "It never ran here",
                    "start a worker: troth worker")  # fmt: skip
    elif (today - date.fromisoformat(raw.decode())).days > 1:
        yield Check("retention.ran", "deleted", title, "bad", f"It ran last on {_day(raw)}",
                    "start a worker: troth worker")  # fmt: skip
    else:
        yield Check("retention.ran", "deleted", title, "good", f"It ran on {_day(raw)}")
    title = "Nobody waits past their day"
    if late:
        yield Check("erasure.overdue", "deleted", title, "bad",
                    f"{late:,} requests or erasures are overdue", "open Requests")  # fmt: skip
    else:
        yield Check("erasure.overdue", "deleted", title, "good", "No request is overdue")


def outside(opened: Workspace) -> Iterator[Check]:
    """Look at everybody outside who is given data: the way there, the country, the safeguard."""
    facts = documents.facts(opened)
    found = recipients(facts)
    title = "Each recipient's country is written down"
    unknown = [each.title for each in found if not (each.country or each.here)]
    if unknown:
        yield Check("recipients.country", "shared", title, "bad",
                    f"Nobody wrote it down for: {', '.join(unknown)}",
                    "fill country in troth.toml")  # fmt: skip
    else:
        yield Check("recipients.country", "shared", title, "good",
                    f"Recipients: {len(found)}")  # fmt: skip
    urls = [str(said.get("url", "")) for said in facts.table("connections").values()]
    urls += [str(said.get("provider", "")) for said in facts.table("channels").values()]
    clear = [u for u in urls if u.startswith("http://") and not _here(u)]
    title = "Connected tools are told by https"
    if clear:
        yield Check("recipients.https", "shared", title, "bad",
                    f"{len(clear)} addresses are plain http", "change them to https")  # fmt: skip
    elif urls:
        yield Check("recipients.https", "shared", title, "good", f"Addresses: {len(urls)}")


def _here(url: str) -> bool:
    try:
        return (urlsplit(url).hostname or "") in HERE
    except ValueError:
        return False


def sources(opened: Workspace) -> Iterator[Check]:
    """Look at what the last scan of each source found, and how long ago that is."""
    known = scans.standing(opened)
    late = set(scans.due(opened))
    for name, said in sorted(opened.settings.sources.items()):
        yield _source(name, known.get(name), late=name in late)
        found = known.get(name)
        if found is not None and found.guarded:
            yield _way(name, found.guarded)
        path = opened.settings.keys / "sources" / name
        if said.get("kind") in {"postgres", "mysql"} and not said.get("env"):
            yield _kept(name, there=path.is_file())


def _source(name: str, found: scans.Standing | None, *, late: bool) -> Check:
    ident, title = f"source.{name}.drift", f"The map of {name} is what is there"
    if found is None:
        return Check(ident, "stored", title, "unknown", "It was never scanned",
                     f"run: troth map scan {name}")  # fmt: skip
    if found.alarming:
        return Check(ident, "stored", title, "bad",
                     f"Columns that seem personal and are in no mapping: {len(found.alarming)}",
                     "map them, then scan again: see the data map")  # fmt: skip
    if found.fault:
        return Check(ident, "stored", title, "unknown", "The last scan did not get through",
                     "see the data map for why")  # fmt: skip
    if late or found.cut:
        why = "its next scan is due" if late else f"the scan was cut short: {found.cut}"
        return Check(ident, "stored", title, "unknown", why.capitalize(),
                     f"run: troth map scan {name}")  # fmt: skip
    if found.drift:
        return Check(ident, "stored", title, "unknown",
                     f"{len(found.drift)} differences, none of them personal as far as seen",
                     "bring the mapping up to date")  # fmt: skip
    return Check(ident, "stored", title, "good",
                 f"Looked into: tables {found.tables:,}, columns {found.columns:,}")  # fmt: skip


def _way(name: str, guarded: str) -> Check:
    ident, title = f"source.{name}.way", f"The way to {name} is closed"
    if guarded == "open":
        return Check(ident, "stored", title, "bad", "It is on another machine, without TLS",
                     "add sslmode=verify-full (PostgreSQL) or ssl_ca (MySQL)")  # fmt: skip
    said = "It is on this machine" if guarded == "here" else "TLS, seen at the last scan"
    return Check(ident, "stored", title, "good", said)


def _kept(name: str, *, there: bool) -> Check:
    ident, title = f"source.{name}.secret", f"How {name} is reached is a secret"
    if there:
        return Check(ident, "stored", title, "good", f"It lies in keys/sources/{name}")
    return Check(ident, "stored", title, "bad", "It is nowhere",
                 f"write it into keys/sources/{name}, mode 0600")  # fmt: skip


LOOKS: Final = (relay, console, told, policy, running, days, outside, sources)
