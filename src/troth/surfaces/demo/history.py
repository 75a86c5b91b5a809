"""The demo's consent history: every act a customer could have done, dated back from one moment.

Each profile is a small story (`given, then withdrawn`). Some rows lack notice, time, method or
proof on purpose: an importer must count them as unknown, never as consent.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from troth.surfaces.demo.draw import Draw
from troth.surfaces.demo.people import Customer, told

GRANTS = frozenset({"given", "reaffirmed"})
AGREED = frozenset(
    {"consent", "consent_both", "reaffirmed", "given_again", "late_paper", "by_call"}
)
"""Profiles whose newest word on offers by e-mail is a proven yes."""

_DOUBLE = frozenset({"DE"})


@dataclass(frozen=True, slots=True)
class Act:
    """One row of the consents file; `late` rows reached the house after all others."""

    external_id: str
    purpose: str
    channels: str
    status: str
    occurred_at: str
    notice: str = ""
    method: str = ""
    proof: str = ""
    categories: str = ""
    level: str = ""
    given_by: str = "self"
    confirmed_at: str = ""
    idempotency_key: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells one customer's acts: holds who, when now is, and the draws."""

    who: Customer
    now: datetime
    draw: Draw

    def moment(self, days: float) -> str:
        """Write the moment `days` before now, at a time of day of its own, in their zone."""
        minutes = self.draw.whole(f"minute {days}", -9 * 60, 3 * 60)
        return self._written(self.now - timedelta(days=days, minutes=minutes))

    def _written(self, at: datetime) -> str:
        return at.astimezone(ZoneInfo(self.who.wall_zone)).isoformat(timespec="seconds")

    def _confirmed(self, given: str) -> str:
        """Write when a mail asking for confirmation was answered: within the hour."""
        wait = timedelta(minutes=self.draw.whole(f"confirm {given}", 2, 55))
        return self._written(datetime.fromisoformat(given) + wait)

    def act(  # noqa: PLR0913 - an act has that many sides
        self,
        status: str,
        days: float,
        *,
        purpose: str = "offers",
        channels: str = "email",
        method: str = "",
        level: int | None = None,
    ) -> Act:
        """Return one complete act: notice shown that day, method, proof and who acted."""
        how = method or self._method(status)
        at = self.moment(days)
        proof = _proof(how, f"{self.who.external_id} {purpose} {status} {at}")
        return Act(
            self.who.external_id,
            purpose,
            channels,
            status,
            at,
            _shown(purpose, days),
            how,
            proof,
            categories=";".join(opened(level)) if level and status in GRANTS else "",
            level="" if level is None else str(level),
            given_by="competent_person" if self.who.minor and status in GRANTS else "self",
            confirmed_at=self._confirmed(at) if how == "double_opt_in" else "",
        )

    def _method(self, status: str) -> str:
        if status in GRANTS and self.who.residence in _DOUBLE:
            return "double_opt_in"
        if status == "withdrawn":
            return self.draw.weigh("stop", {"one_click": 6, "button": 3, "sms_reply": 1})
        return self.draw.weigh(f"method {status}", {"checkbox": 7, "button": 2, "paper": 1})


def opened(level: int | None) -> list[str]:
    """Return the categories a level opens, its own and those of the levels below.

    >>> opened(3)
    ['identity.name', 'interests.declared', 'purchases.13w']
    """
    opens = told("mix")["opens"]
    return [name for k in range(2, (level or 0) + 1) for name in opens[str(k)]]


def notice_from(purpose: str, version: int, now: datetime) -> datetime:
    """Return since when a version of a notice was shown."""
    weeks: int = told("mix")["notices"][purpose][str(version)]
    return now - timedelta(weeks=weeks)


def _shown(purpose: str, days: float) -> str:
    """The notice current so many days ago; withdrawals under `marketing` name none."""
    versions: Mapping[str, int] = told("mix")["notices"].get(purpose, {})
    current = [v for v, weeks in versions.items() if weeks * 7 > days]
    return f"{purpose}@{max(current, key=int)}" if current else ""


def _proof(method: str, about: str) -> str:
    digest = sha256(about.encode()).hexdigest()
    if method == "call_recording":
        return f"recording:sha256:{digest}"
    if method == "paper":
        return f"scan:sha256:{digest}"
    if method == "gpc":
        return f"signal:sha256:{digest}"
    if method == "double_opt_in":
        return f"mail:<{digest[:16]}@marula.example>"
    return f"form:{digest[:16]}"


# --- profiles -----------------------------------------------------------------------------------

Told = Callable[[Teller], Iterator[Act]]


def _consent(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 12, 640))


def _consent_both(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 12, 205), channels="email;sms")


def _reaffirmed(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 800, 1200))
    yield t.act("reaffirmed", t.draw.whole("again", 40, 500), method="button")


def _given_again(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 300, 640))
    yield t.act("withdrawn", t.draw.whole("stopped", 150, 280))
    yield t.act("given", t.draw.whole("again", 12, 140), method="checkbox")


def _late_paper(t: Teller) -> Iterator[Act]:
    yield replace(t.act("given", t.draw.whole("given", 20, 170), method="paper"), late=True)


def _by_call(t: Teller) -> Iterator[Act]:
    act = t.act("given", t.draw.whole("given", 20, 400), method="call_recording")
    yield replace(act, given_by=act.given_by if t.who.minor else "staff")


def _withdrawn(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 200, 640))
    yield t.act("withdrawn", t.draw.whole("stopped", 12, 190))


def _withdrawn_all(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 200, 640))
    days = t.draw.whole("stopped", 12, 190)
    yield t.act("withdrawn", days, purpose="marketing", channels="all", method="button")


def _paper_overtaken(t: Teller) -> Iterator[Act]:
    yield t.act("withdrawn", t.draw.whole("stopped", 12, 60))
    yield replace(t.act("given", t.draw.whole("given", 80, 170), method="paper"), late=True)


def _refused(t: Teller) -> Iterator[Act]:
    yield t.act("refused", t.draw.whole("refused", 12, 640))


def _objected(t: Teller) -> Iterator[Act]:
    days = t.draw.whole("objected", 12, 400)
    yield t.act("objected", days, purpose="marketing", channels="all", method="paper")


def _imported(t: Teller) -> Iterator[Act]:
    bare = t.act("imported", t.draw.whole("given", 60, 700))
    yield replace(bare, notice="", method="", proof="", confirmed_at="")


def _lacking(without: Callable[[Act], Act]) -> Told:
    """A yes as another tool claims it, with one thing missing or wrong."""

    def tell(t: Teller) -> Iterator[Act]:
        yield without(t.act("given", t.draw.whole("given", 60, 640), method="checkbox"))

    return tell


def _expired(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 780, 1400))


def _sms_only(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 12, 205), channels="sms", method="sms_reply")


def _newsletter_only(t: Teller) -> Iterator[Act]:
    yield t.act("given", t.draw.whole("given", 12, 640), purpose="newsletter")


def _requested(t: Teller) -> Iterator[Act]:
    asked = t.act("requested", t.draw.whole("asked", 30, 400))
    yield replace(asked, notice="ask@1", method="", proof="", given_by="staff")


def _nothing(_: Teller) -> Iterator[Act]:
    yield from ()


PROFILES: Mapping[str, Told] = {
    "consent": _consent,
    "consent_both": _consent_both,
    "reaffirmed": _reaffirmed,
    "given_again": _given_again,
    "late_paper": _late_paper,
    "by_call": _by_call,
    "soft": _nothing,
    "withdrawn": _withdrawn,
    "withdrawn_all": _withdrawn_all,
    "paper_overtaken": _paper_overtaken,
    "refused": _refused,
    "objected": _objected,
    "imported": _imported,
    "no_notice": _lacking(lambda act: replace(act, notice="")),
    "no_time": _lacking(lambda act: replace(act, occurred_at="")),
    "no_method": _lacking(lambda act: replace(act, method="")),
    "no_proof": _lacking(lambda act: replace(act, proof="")),
    "unpublished": _lacking(lambda act: replace(act, notice="offers@9")),
    "expired": _expired,
    "sms_only": _sms_only,
    "newsletter_only": _newsletter_only,
    "requested": _requested,
    "silent": _nothing,
}


def _levels(t: Teller) -> Iterator[Act]:
    """The slider: up is a consent, 0 or 1 refuses every use of data, down is a withdrawal."""
    chosen = t.draw.weigh("level", told("mix")["level"])
    if chosen == "none":
        return
    level, days = int(chosen), t.draw.whole("chosen", 30, 200)
    status = "given" if level > 1 else "refused"
    yield t.act(status, days, purpose="personalise", channels="", method="button", level=level)
    if level > 2 and t.draw.share("down") < told("mix")["share"]["stepped_down"]:  # noqa: PLR2004
        down = t.act("withdrawn", days // 3, purpose="personalise", channels="", method="button")
        closed = [name for name in opened(level) if name not in opened(level - 1)]
        yield replace(down, categories=";".join(closed), level=str(level - 1))


def _newsletter(t: Teller) -> Iterator[Act]:
    if t.draw.share("newsletter") < told("mix")["share"]["also_newsletter"]:
        yield t.act("given", t.draw.whole("letter", 12, 640), purpose="newsletter")


def _signal(t: Teller) -> Iterator[Act]:
    """Some browsers in California say "do not sell or share": an opt-out, under no notice."""
    if t.who.residence == "US-CA" and t.draw.share("gpc") < told("mix")["share"]["gpc"]:
        days = t.draw.whole("signal", 3, 300)
        said = t.act("opted_out", days, purpose="personalise", channels="all", method="gpc")
        yield replace(said, notice="", given_by="signal")


def _cast(t: Teller) -> Iterator[Act]:
    for told_of in t.who.acts:
        act = t.act(
            told_of["status"],
            told_of["days"],
            purpose=told_of["purpose"],
            channels=";".join(told_of.get("channels", ())),
            method=told_of["method"],
            level=told_of.get("level"),
        )
        by_self = t.who.minor and "given_by" not in told_of
        yield replace(act, given_by="self" if by_self else told_of.get("given_by", act.given_by))


def acts(who: Customer, now: datetime, seed: int) -> list[Act]:
    """Return everything one customer did, in the order in which it happened."""
    teller = Teller(who, now, Draw(seed, f"acts {who.external_id}"))
    if who.profile == "cast":
        done = list(_cast(teller))
    else:
        done = list(PROFILES[who.profile](teller))
        if who.profile in AGREED:
            done += [*_levels(teller), *_newsletter(teller)]
        done += _signal(teller)
    return [
        replace(act, idempotency_key=f"demo:{who.external_id}:{place}")
        for place, act in enumerate(done, 1)
    ]
