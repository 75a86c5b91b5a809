"""A second opinion: who may be mailed, worked out anew from the written rules and plain files.

It shares no code with the program: only the standard library, the input files of the demo and the
holiday calendars. Where a written rule leaves room, the reading taken is named in `READINGS`.

    python second_opinion.py FOLDER 2026-11-17T10:00:00+02:00 CALENDARS
"""

import calendar
import csv
import sys
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

READINGS = {
    "age": "no year of birth and no competent person named: an adult; a year that leaves it open"
    " whether somebody is 18: a minor",
    "old-consent": "a yes that ran out is no refusal, so the customer exception may still carry",
    "mailbox": "a refusal closes a person, a suppression closes an address",
    "import": "no row of an imported file lifts a suppression, however new and well proven",
    "eu-soft": "EU-11 needs the same six facts, and a row for the member state: rules.md section 9"
    " ships those empty, and an empty row refuses; nobody knows where: the stricter of both",
    "windows": "ZA-14 and a stale ZA-15 file concern people in South Africa, or nobody knows where;"
    " US-8 and Canada's hours are about calls and texts, not about mail",
    "zones": "no zone known: open only when it is open in every zone the house has customers in who"
    " live where the unknown may live, in South Africa or the EU",
    "seat": "the sender sits in South Africa, so ZA-5 is asked for everybody, wherever they live",
    "canada": "C-2 counts days of Toronto; a purchase in the events is a purchase as well as one in"
    " the customers file; without consent ZA-5 and C-2 must both carry, the strictest wins",
    "united-states": "CAN-SPAM asks for no consent; section 1 of the rules takes the strictest, and"
    " the sender's seat asks for consent or a customer, which is stricter",
    "signal": "GPC is for sale, sharing and targeted advertising: it closes `personalise`, the"
    " consent to be mailed is another act and stays",
    "wishes": "preferences.csv holds what each wishes now; a pause ends at its moment; `most` counts"
    " marketing mails handed over in the 30 days before; quiet hours run from the first minute up"
    " to the last, past midnight if that is earlier, and while no zone is known in every zone",
    "level": "the newest word on the slider counts; only 0 stops marketing",
}

GRANTS = {"given", "reaffirmed"}
CLOSING = {"withdrawn", "objected", "refused", "opted_out", "revoked", "invalidated"}
EU = {
    "AT",
    "BE",
    "BG",
    "HR",
    "CY",
    "CZ",
    "DK",
    "EE",
    "FI",
    "FR",
    "DE",
    "GR",
    "HU",
    "IE",
    "IT",
    "LV",
    "LT",
    "LU",
    "MT",
    "NL",
    "PL",
    "PT",
    "RO",
    "SK",
    "SI",
    "ES",
    "SE",
}
SOFT_OPT_IN_ROWS: set[str] = set()
IMPLIED_MONTHS = {"sale": 24, "contract": 24, "donation": 24, "membership": 24, "inquiry": 6}
CASL_ZONE = ZoneInfo("America/Toronto")
SOON = timedelta(minutes=5)
SCHEME = "sha256-lower-trim"


def plain(address: str) -> str:
    """Normalise a mailbox: nothing is guessed, tags and dots stay."""
    return unicodedata.normalize("NFC", address).strip().lower()


def months_after(at: datetime, months: int) -> datetime:
    """Return the moment so many calendar months on, clamped to the month's end."""
    year, month = divmod(at.month - 1 + months, 12)
    year, month = at.year + year, month + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


def months_before(day: date, months: int) -> date:
    """Return the same day number so many months earlier, clamped to the month's end."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    month += 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def rows(path: Path) -> list[dict[str, str]]:
    """Read one CSV file; a missing file has no rows."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def listed(cell: str) -> set[str]:
    """Split a cell of several words."""
    return {word.strip() for word in cell.split(";") if word.strip()}


@dataclass
class Papers:
    """The input files, read once."""

    folder: Path
    at: datetime
    calendars: Path
    customers: list[dict[str, str]] = field(init=False)
    acts: dict[str, list[dict[str, str]]] = field(init=False)
    suppressed: set[str] = field(init=False)
    purposes: dict[str, dict] = field(init=False)
    notices: dict[str, dict] = field(init=False)
    house: dict = field(init=False)

    def __post_init__(self) -> None:
        self.customers = rows(self.folder / "customers.csv")
        self.acts = self._acts()
        self.suppressed = {
            plain(row["email"])
            for row in rows(self.folder / "suppressions.csv")
            if not row["since"] or datetime.fromisoformat(row["since"]) <= self.at
        }
        drafts = (self.folder / "purposes").glob("*.toml")
        self.purposes = {p["name"]: p for p in map(_toml, drafts)}
        self.notices = self._notices()
        self.house = _toml(self.folder / "troth.toml")["house"]
        self.holidays = self._holidays("ZA")
        self.registry, self.registry_fresh = self._registry()
        unknown = {"ZA", ""} | EU
        self.zones = {
            row["zone"] for row in self.customers if row["zone"] and row["residence"] in unknown
        } | {self.house["zone"]}
        self.bought = self.last_purchases()
        self.wishes = {row["external_id"]: row for row in rows(self.folder / "preferences.csv")}

    def _acts(self) -> dict[str, list[dict[str, str]]]:
        """Group acts by person; a row said twice counts once."""
        seen: set[str] = set()
        out: dict[str, list[dict[str, str]]] = {}
        for row in rows(self.folder / "consents.csv"):
            key = row["idempotency_key"] or repr(sorted(row.items()))
            if key not in seen:
                seen.add(key)
                out.setdefault(row["external_id"], []).append(row)
        return out

    def _notices(self) -> dict[str, dict]:
        out = {}
        for path in (self.folder / "notices").glob("*.md"):
            front = tomllib.loads(path.read_text("utf-8").split("+++")[1])
            for version in front["versions"]:
                if version["valid_from"] <= self.at.date():
                    out[f"{front['name']}@{version['number']}"] = front
        return out

    def _holidays(self, code: str) -> set[date]:
        return {each["date"] for each in _toml(self.calendars / f"{code}.toml")["holiday"]}

    def _registry(self) -> tuple[set[str], bool]:
        path = self.folder / "registry-za.csv"
        if not path.exists():
            return set(), False
        head: dict[str, str] = {}
        body = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("#"):
                name, _, value = line[1:].partition(":")
                head[name.strip()] = value.strip()
            else:
                body.append(line.strip())
        if head.get("scheme") != SCHEME or "as-of" not in head:
            return set(), False
        zone = ZoneInfo(self.house["zone"])
        as_of = datetime.fromisoformat(head["as-of"]).astimezone(zone)
        today = self.at.astimezone(zone).date()
        return set(body[1:]), months_after(as_of, 1).date() >= today

    def last_purchases(self) -> dict[str, datetime]:
        """Return when each bought last, from `last_purchase.csv` (external_id, at)."""
        found = rows(self.folder / "last_purchase.csv")  # made from events.parquet by the caller
        return {row["external_id"]: datetime.fromisoformat(row["at"]) for row in found}


def _toml(path: Path) -> dict:
    return tomllib.loads(path.read_text("utf-8"))


@dataclass
class Opinion:
    """Judges one person after another for one purpose by e-mail."""

    papers: Papers
    purpose: str = "offers"
    channel: str = "email"

    def line(self) -> list[str]:
        """Return the purpose and everything above it."""
        out, name = [], self.purpose
        while name:
            out.append(name)
            name = self.papers.purposes[name]["parent"]
        return out

    def objections(self, who: dict[str, str]) -> list[str]:
        """Return every reason not to mail this person now; none is a yes."""
        out = []
        mailbox = plain(who["email"])
        acts = [a for a in map(self._timed, self.papers.acts.get(who["external_id"], ())) if a]
        if not mailbox:
            out.append("no address")
        if sha256(mailbox.encode()).hexdigest() in self.papers.registry:
            out.append("registry block (ZA-15)")
        if mailbox in self.papers.suppressed:
            out.append("suppressed address")
        in_za = who["residence"] in {"ZA", ""}
        if in_za and not self.papers.registry_fresh:
            out.append("registry file old or missing (ZA-15)")
        ground = self._ground(who, acts)
        if ground:
            out.append(ground)
        if self._level(acts) == 0:
            out.append("level 0")
        if in_za and who["subject"] != "juristic" and self._quiet(who["zone"]):
            out.append("quiet time (ZA-14, cautious for e-mail)")
        return out + self._wished(who)

    def _wished(self, who: dict[str, str]) -> list[str]:
        """Return what the person's own wishes say against it; columns: external_id, pause_until,
        most, sent (mails of the last 30 days), quiet_from, quiet_to."""
        wish = self.papers.wishes.get(who["external_id"])
        if wish is None:
            return []
        out = []
        if wish["pause_until"] and self.papers.at < datetime.fromisoformat(wish["pause_until"]):
            out.append("paused by the person")
        if wish["most"] and int(wish["sent"]) >= int(wish["most"]):
            out.append("as many as the person wishes")
        if wish["quiet_from"]:
            first, last = (time.fromisoformat(wish[f"quiet_{edge}"]) for edge in ("from", "to"))
            zones = [who["zone"]] if who["zone"] else sorted(self.papers.zones)
            clocks = [self.papers.at.astimezone(ZoneInfo(each)).time() for each in zones]
            asleep = [
                c >= first or c < last if last <= first else first <= c < last for c in clocks
            ]
            if any(asleep):
                out.append("the person's quiet hours")
        return out

    def _timed(self, act: dict[str, str]) -> dict | None:
        """Put a time on an act; a yes without one is no act, a no without one is of today."""
        text = act["occurred_at"]
        if not text and act["status"] not in CLOSING:
            return None
        when = datetime.fromisoformat(text) if text else self.papers.at
        return None if when > self.papers.at + SOON else {**act, "when": when}

    def _proven(self, act: dict, about: str) -> bool:
        """All four: published notice, time, method, proof; the notice speaks of this purpose."""
        notice = self.papers.notices.get(act["notice"])
        double = self.papers.purposes[about]["double_opt_in"] or act["method"] == "double_opt_in"
        return (
            notice is not None
            and about in notice["purposes"]
            and bool(act["occurred_at"] and act["method"] and act["proof"])
            and act["given_by"] in {"self", "competent_person", "staff"}
            and (bool(act["confirmed_at"]) or not double)
        )

    def _minor(self, who: dict[str, str]) -> bool:
        if who["subject"] == "juristic":
            return False
        if not who["birth_year"]:
            return bool(who["competent_person_email"])
        today = self.papers.at.astimezone(ZoneInfo(self.papers.house["zone"]))
        return today.year - int(who["birth_year"]) - 1 < 18

    def _opens(self, act: dict, *, minor: bool) -> bool:
        return (
            act["status"] in GRANTS
            and self.channel in listed(act["channels"])
            and act["purpose"] in self.line()
            and self._proven(act, self.purpose)
            and (not minor or act["given_by"] == "competent_person")
        )

    def _closes(self, act: dict) -> bool:
        named = listed(act["channels"])
        return (
            act["status"] in CLOSING
            and act["purpose"] in self.line()
            and (not named or "all" in named or self.channel in named)
        )

    def _ground(self, who: dict[str, str], acts: list[dict]) -> str:
        """Return why neither a consent nor the customer exception carries; "" if one does."""
        minor = self._minor(who)
        decisive = [a for a in acts if self._closes(a) or self._opens(a, minor=minor)]
        newest = max(decisive, key=lambda a: (a["when"], self._closes(a)), default=None)
        if newest and self._closes(newest):
            return f"{newest['status']} under {newest['purpose']}"
        if newest:
            months = self.papers.purposes[self.purpose]["consent_months"]
            if not months or months_after(newest["when"], months) > self.papers.at:
                return ""
        if minor:
            return "minor without a competent person's consent (ZA-12, EU-4)"
        lacking = self._exception(who)
        if who["residence"].partition("-")[0] == "CA" and not self._implied(who):
            lacking.append("no relationship that implies consent any more (C-2)")
        expired = "consent ran out; " if newest else ""
        return f"{expired}no consent, {', '.join(lacking)}" if lacking else ""

    def _exception(self, who: dict[str, str]) -> list[str]:
        """Name what ZA-5 and EU-11 miss; "not refused" was asked before, "own" is one brand."""
        goods = self.papers.purposes[self.purpose]["goods"]
        facts = {
            "not a customer": who["relation_kind"] == "sale" and self._past(who["relation_at"]),
            "details not from a sale": who["details_from_sale"] == "yes",
            "not similar goods": who["relation_goods"] in goods,
            "no objection offered at collection": who["objection_offered"] == "yes",
            "no row for the member state": who["residence"] not in EU | {""}
            or who["residence"] in SOFT_OPT_IN_ROWS,
        }
        return [name for name, stands in facts.items() if not stands]

    def _implied(self, who: dict[str, str]) -> bool:
        """Say whether a dated relationship still implies consent today, by CASL's months."""
        today = self.papers.at.astimezone(CASL_ZONE).date()
        dated = []
        if who["relation_kind"] in IMPLIED_MONTHS and self._past(who["relation_at"]):
            when = datetime.fromisoformat(who["relation_at"])
            dated.append((when, IMPLIED_MONTHS[who["relation_kind"]]))
        bought = self.papers.bought.get(who["external_id"])
        if bought is not None and bought <= self.papers.at:
            dated.append((bought, IMPLIED_MONTHS["sale"]))
        return any(
            when.astimezone(CASL_ZONE).date() >= months_before(today, months)
            for when, months in dated
        )

    def _past(self, text: str) -> bool:
        return bool(text) and datetime.fromisoformat(text) <= self.papers.at

    def _level(self, acts: list[dict]) -> int:
        said = [
            a
            for a in acts
            if a["purpose"] == "personalise"
            and a["level"]
            and (a["status"] in CLOSING or self._proven(a, "personalise"))
        ]
        newest = max(said, key=lambda a: (a["when"], a["status"] in CLOSING), default=None)
        return int(newest["level"]) if newest else 1

    def _quiet(self, zone: str) -> bool:
        zones = [zone] if zone else sorted(self.papers.zones)
        return any(self._closed(self.papers.at.astimezone(ZoneInfo(each))) for each in zones)

    def _closed(self, local: datetime) -> bool:
        if local.date() in self.papers.holidays or local.weekday() == calendar.SUNDAY:
            return True
        early, late = (9, 13) if local.weekday() == calendar.SATURDAY else (8, 20)
        return not time(early) <= local.time() < time(late)


def lapsed(papers: Papers, days: int = 90) -> list[dict[str, str]]:
    """Return the customers who bought before and not within the last `days` days.

    A sale the customers file dates counts as well as purchases among the events.
    """
    limit = papers.at - timedelta(days=days)

    def last(who: dict[str, str]) -> datetime:
        sold = datetime.fromisoformat(who["relation_at"])
        told = [sold] if who["relation_kind"] == "sale" else []
        found = papers.bought.get(who["external_id"])
        return max([*told, *([found] if found else [])], default=limit)

    return [who for who in papers.customers if last(who) < limit]


def recipients(papers: Papers, purpose: str = "offers") -> set[str]:
    """Return who may be sent a marketing e-mail under `purpose` now, among the lapsed."""
    opinion = Opinion(papers, purpose)
    return {who["external_id"] for who in lapsed(papers) if not opinion.objections(who)}


def main(folder: str, at: str, calendars: str) -> None:
    """Print the ids, one a line, and on standard error how often each objection was found."""
    papers = Papers(Path(folder), datetime.fromisoformat(at).astimezone(UTC), Path(calendars))
    opinion = Opinion(papers)
    why = Counter(reason for who in lapsed(papers) for reason in opinion.objections(who)[:1])
    print(*sorted(recipients(papers)), sep="\n")
    print(*(f"{n:5} {reason}" for reason, n in why.most_common()), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
