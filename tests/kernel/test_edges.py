"""The seldom walked ways of desk, fold, house, scribe and keyring keep their promises too."""

from dataclasses import replace
from types import SimpleNamespace

import asking
import cast
import msgspec
import pytest

from troth.adapters.memory import MemoryStore
from troth.errors import EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import desk as desks
from troth.kernel import events, fold, gate, keyring, vault
from troth.kernel import house as published_house
from troth.kernel.desk import Desk, append_together
from troth.kernel.scribe import Scribe
from troth.terms import (
    NO_HEAD,
    SECOND,
    Action,
    Actor,
    ConsentStatus,
    Instant,
    KeyRow,
    Published,
    Role,
)

WHO, OTHER, THIRD, NOW = cast.AGREED, cast.WITHDREW, cast.ERASING, cast.NOW
READ = events.DataRead("service", ("contact.email",))
RIVAL = events.DataRead("service", ("name.given",))
CREATED = events.PersonCreated("natural", "form")
GIVEN = events.ConsentAct(
    ConsentStatus.GIVEN, "offers", ("email",), notice="offers@1", method="form"
)
REFUSED = events.HouseRefused("offers", "send", ({"code": "x"},))
MEANWHILE = replace(REFUSED, purpose="ask")


class Contested(MemoryStore):
    """A store on which somebody else writes between the next look and the book that follows."""

    rival = None

    def book(self, house_version=None):
        rival, self.rival = self.rival, None
        if rival:
            rival()
        return super().book(house_version)


@pytest.fixture
def desk():
    box = cast.with_keys(cast.vault(), WHO, OTHER, THIRD, cast.HOUSE)
    store = Contested(cast.Clock(), fold.PROJECTIONS)
    return Desk(
        workspace=cast.WORKSPACE,
        store=store,
        vault=box,
        scribe=cast.scribe(box),
        journal=None,
        policy=None,
        randomness=cast.Stream(b"desk"),
    )


def said(desk, who):
    with desk.store.look() as view:
        return [r.event.payload for r in desk.scribe.chain(view, who)]


def record(desk, who):
    with desk.store.look() as view:
        return view.gather([who], None)[0].record


def refolded(desk, who, *merged, drafts=()):
    with desk.store.look() as view:
        chains = {one.hex(): desk.scribe.chain(view, one) for one in merged}
        return fold.refold(desk.scribe.chain(view, who), chains, drafts)


# Desk: writers that meet


def test_an_event_is_booked_once_and_after_what_another_writer_booked_meanwhile(desk):
    desk.store.rival = lambda: desk.record(WHO, [RIVAL], cast.SYSTEM)
    booked = desk.record(WHO, [CREATED, READ], cast.SYSTEM)
    assert said(desk, WHO) == [RIVAL, CREATED, READ]
    assert [p.n for p in booked] == [2, 3]


def test_a_house_event_is_booked_once_and_after_what_another_writer_booked_meanwhile(desk):
    first = replace(REFUSED, purpose="ask")
    desk.store.rival = lambda: desk.record_house(first, cast.SYSTEM)
    desk.record_house(REFUSED, cast.SYSTEM)
    assert said(desk, cast.HOUSE) == [first, REFUSED]


@pytest.mark.parametrize(
    ("who", "book", "others"),
    [
        (
            WHO,
            lambda desk: desk.record(WHO, [CREATED], cast.SYSTEM),
            lambda desk: desk.record(WHO, [RIVAL], cast.SYSTEM),
        ),
        (
            cast.HOUSE,
            lambda desk: desk.record_house(REFUSED, cast.SYSTEM),
            lambda desk: desk.record_house(MEANWHILE, cast.SYSTEM),
        ),
    ],
    ids=["of a person", "of the house"],
)
def test_where_others_always_write_first_it_is_given_up_and_said(
    desk, monkeypatch, who, book, others
):
    def again():
        others(desk)
        desk.store.rival = again

    monkeypatch.setattr(desks, "TRIES", 3)
    desk.store.rival = again
    with pytest.raises(Unavailable, match="others keep writing"):
        book(desk)
    assert said(desk, who) == [RIVAL if who == WHO else MEANWHILE] * 3


def test_an_id_nobody_holds_belongs_to_itself(desk):
    desk.record(WHO, [CREATED], cast.SYSTEM)
    with desk.store.look() as view:
        assert desk.keeper(view, OTHER) == OTHER
        assert desk.keeper(view, WHO) == WHO


def test_a_merged_id_belongs_to_the_last_that_stayed(desk):
    for alias, stays in ((WHO, OTHER), (OTHER, THIRD)):
        desk.record(
            alias, [events.PersonMerged(stays.hex(), keeps=False, reason="t")], cast.SYSTEM
        )
    desk.record(THIRD, [CREATED], cast.SYSTEM)
    with desk.store.look() as view:
        assert desk.keeper(view, WHO) == desk.keeper(view, OTHER) == THIRD


# Fold: what counts, what binds, what does not


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (events.MessageOutcome("handed", "r1", channel="email"), True),
        (events.MessageOutcome("unknown", "r1", channel="email"), True),
        (events.MessageOutcome("handed", "r1"), False),
        (events.MessageOutcome("failed", "r1", channel="email"), False),
        (events.MessageOutcome("withheld", "r1", channel="email"), False),
    ],
)
def test_only_what_may_have_left_on_a_counted_channel_counts_against_the_cap(
    desk, outcome, counts
):
    desk.record(WHO, [CREATED, outcome], cast.SYSTEM)
    sends = {"email": (NOW // SECOND * SECOND + 2,)} if counts else {}
    assert record(desk, WHO).sends == refolded(desk, WHO).sends == sends


def merge(desk, blocks=None):
    """OTHER becomes an alias of WHO."""
    desk.record(WHO, [events.PersonMerged(OTHER.hex(), True, "t", blocks)], cast.SYSTEM)
    desk.record(OTHER, [events.PersonMerged(WHO.hex(), False, "t")], cast.SYSTEM)


@pytest.fixture
def pair(desk):
    desk.record(WHO, [CREATED, GIVEN], cast.SYSTEM)
    desk.record(OTHER, [CREATED], cast.SYSTEM)
    return desk


def test_an_alias_folded_again_names_whom_it_belongs_to(pair):
    merge(pair)
    assert refolded(pair, OTHER) == record(pair, OTHER)
    assert refolded(pair, OTHER).alias == WHO.hex()


@pytest.mark.parametrize("restricted", [True, False])
def test_a_restriction_of_an_alias_binds_who_stayed_and_its_end_frees_nobody(pair, restricted):
    pair.record(WHO, [events.ProcessingRestricted(not restricted, "asked")], cast.SYSTEM)
    merge(pair)
    pair.record(OTHER, [events.ProcessingRestricted(restricted, "asked")], cast.SYSTEM)
    assert record(pair, WHO).restricted
    assert refolded(pair, WHO, OTHER).restricted


def test_what_an_alias_records_later_and_does_not_narrow_leaves_who_stayed_as_they_were(pair):
    merge(pair)
    before = record(pair, WHO)
    facts = events.FactsRecorded("form", residence="DE", age="adult")
    pair.record(OTHER, [facts, replace(GIVEN, channels=("sms",)), READ], cast.SYSTEM)
    assert record(pair, WHO) == before
    assert refolded(pair, WHO, OTHER) == before


PURPOSE = """
name = "%s"
version = 1
kind = "direct_marketing"
title = "T"
channels = ["email", "sms"]
categories = ["%s"]
"""


def draft(name, data, version=1):
    raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Published(name, version, Instant(NOW - SECOND), "0" * 64, raw)


def purpose_draft(name, category="contact"):
    return draft(f"purpose:{name}", (PURPOSE % (name, category)).encode())


@pytest.mark.parametrize(
    ("scope", "value", "closed"),
    [
        ("purpose", "offers", {"offers|*"}),
        ("channel", "sms", {"offers|sms", "news|sms"}),
        ("all", "", {"offers|*", "news|*"}),
    ],
)
def test_a_suppression_of_the_merged_profile_closes_its_own_scope_and_no_more(
    pair, scope, value, closed
):
    drafts = [purpose_draft("offers"), purpose_draft("news")]
    with pair.store.book() as tx:
        for each in drafts:
            tx.publish(each.name, each.digest, each.data)
    merge(pair, ({"reason": "unsubscribe", "scope": scope, "value": value},))
    after = record(pair, WHO)
    denied = {place for place, s in after.standings.items() if s.deny}
    assert denied == closed
    assert {after.standings[place].deny.status for place in denied} == {ConsentStatus.WITHDRAWN}
    assert refolded(pair, WHO, OTHER, drafts=drafts) == after


# House: drafts that mislead are refused by name


def test_a_purpose_with_a_key_nobody_knows_is_refused_by_that_key():
    raw = (PURPOSE % ("offers", "contact")).encode()
    assert published_house.read_purpose("offers", raw).name == "offers"
    with pytest.raises(InvalidInput, match=r"purposes/offers\.toml: unknown key retention_day"):
        published_house.read_purpose("offers", raw + b"retention_day = 3\n")


def test_a_purpose_in_the_file_of_another_is_refused():
    with pytest.raises(InvalidInput, match="names another purpose"):
        published_house.read_purpose("news", (PURPOSE % ("offers", "contact")).encode())


def test_before_anything_is_published_there_is_no_house_to_decide_by(desk):
    with desk.store.look() as view, pytest.raises(InvalidInput, match="nothing is published"):
        desk.house(view)
    with pytest.raises(InvalidInput):
        published_house.read_house(1, [purpose_draft("offers")])


def notice(name, version, material, purposes=("offers",)):
    said = {"name": name, "version": version, "material": material, "purposes": purposes}
    return draft(f"notice:{name}@{version}", said)


NOTICES = [
    notice("offers", 1, True),
    notice("offers", 2, True, ("offers", "news")),
    notice("offers", 3, False),
    notice("shop", 1, False, ()),
]


def test_a_consent_is_good_back_to_the_newest_material_change_of_its_notice():
    rules = [
        draft(f"{kind}:{path.stem}", path.read_bytes())
        for kind, folder in (("regime", "regimes"), ("calendar", "calendars"))
        for path in (asking.DATA / folder).glob("*.toml")
    ]
    own = draft("house", b'[house]\nseat = "ZA"\n')
    every = [own, purpose_draft("offers"), *rules, *NOTICES]
    house = published_house.read_house(1, every)
    assert house.material == {"offers": 2, "shop": 1}
    assert (house.seat, house.zone, house.labels) == ("ZA", "UTC", {"contact"})


def test_a_purpose_knows_every_notice_version_that_speaks_of_it_and_nothing_else_published():
    assert published_house.notices_by_purpose([purpose_draft("offers"), *NOTICES]) == {
        "offers": {"offers@1", "offers@2", "offers@3"},
        "news": {"offers@2"},
    }


# Scribe: an event stands in its own place


def test_an_event_sealed_into_the_place_of_another_is_found():
    box = cast.with_keys(cast.vault(), WHO, OTHER)
    scribe = cast.scribe(box)
    one, two = scribe.prepare(WHO, NO_HEAD, [CREATED, GIVEN], cast.SYSTEM, NOW)
    for who, n, moved in ((WHO, 1, two), (WHO, 2, one), (OTHER, 1, one)):
        plain = box.open_event(WHO, moved.n, moved.body, NOW)
        body = SimpleNamespace(seq=7, person=who, n=n, rec=box.seal_event(who, n, plain, NOW))
        with pytest.raises(EvidenceBroken, match="entry 7 says it is another event"):
            scribe.read(body, NOW)


def test_one_member_of_staff_is_named_differently_in_every_chain():
    box = cast.vault()
    names = {Scribe(box, cast.Stream(), cast.HOUSE).actor(cast.SYSTEM, p) for p in (WHO, OTHER)}
    assert len(names) == 2
    assert all(name.startswith("system/") and "tests" not in name for name in names)


# Keyring: what is cached, and how much


class Watched(cast.MemoryKeys):
    """A key store that counts its reads and lets something happen right after one."""

    def __init__(self):
        super().__init__()
        self.read, self.then = [], None

    def rows(self, people):
        found = super().rows(people)
        self.read += people
        then, self.then = self.then, None
        if then:
            then()
        return found


def test_V4_rows_read_before_a_fence_moved_are_not_kept_after_it():
    keys = Watched()
    box = cast.with_keys(cast.vault(keys), WHO, OTHER)

    def shredded_meanwhile():
        keys.shred(WHO, None, NOW)
        box.keys.load([OTHER], NOW)

    keys.then = shredded_meanwhile
    box.keys.load([WHO], NOW)
    with pytest.raises(vault.Shredded):
        box.keys.key(WHO, NOW)
    assert box.keys.has(OTHER, NOW)


def test_the_key_cache_holds_no_more_people_than_its_bound_and_lets_the_oldest_go(monkeypatch):
    monkeypatch.setattr(keyring, "CACHE_PEOPLE", 2)
    keys = Watched()
    box = cast.with_keys(cast.vault(keys), WHO, OTHER, THIRD)
    for who in (WHO, OTHER, THIRD):
        box.keys.load([who], NOW)
    keys.read.clear()
    box.keys.load([OTHER, THIRD], NOW)
    assert keys.read == []
    assert box.keys.has(WHO, NOW)
    assert keys.read == [WHO]
    box.keys.load([WHO, OTHER, THIRD], NOW)
    keys.read.clear()
    box.keys.load([WHO, OTHER, THIRD], NOW)
    assert keys.read == []


# Vault: a rendered message leaves for its own purpose and for nothing else


def test_a_rendered_message_opens_for_sending_it_under_its_own_purpose_only():
    box = cast.with_keys(cast.vault(), asking.PERSON)
    offers, orders = (
        box.seal_outgoing(asking.PERSON, purpose, 1, b"Hello", asking.NOON)
        for purpose in ("offers", "orders")
    )
    support = {"actor": Actor(Role.SUPPORT, "s1"), "reason": "case:1", "purpose": "orders"}
    sends, reads = asking.answer(), asking.answer(action=Action.READ, channel=None, **support)
    assert isinstance(sends, gate.Permit), sends
    assert isinstance(reads, gate.Permit), reads
    assert box.open_outgoing(sends, offers, asking.NOON) == b"Hello"
    for permit, closed in ((sends, orders), (reads, orders)):
        with pytest.raises(InvalidInput, match="not for sending this message"):
            box.open_outgoing(permit, closed, asking.NOON)


@pytest.mark.parametrize(
    "limits",
    [
        {"marketing_per_30_day": 4},
        {"marketing_per_30_days": "four"},
        {"marketing_per_30_days": -1},
    ],
)
def test_a_limit_that_is_misspelt_or_no_number_is_refused_and_never_dropped(limits):
    from troth.kernel import house as kernel_house

    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        kernel_house._caps(limits)


def test_a_house_without_a_limit_has_no_cap_and_one_with_it_has_it():
    from troth.kernel import house as kernel_house

    assert kernel_house._caps({}) == {}
    assert list(kernel_house._caps({"marketing_per_30_days": 4}).values()) == [(4, 30)]


def test_events_of_two_chains_are_booked_together_or_not_at_all(pair):
    with pair.store.look() as view:
        heads = {g.person: g.head for g in view.gather([WHO, OTHER], None)}
        told = [
            *pair.scribe.prepare(WHO, heads[WHO], [CREATED], cast.SYSTEM, view.now),
            *pair.scribe.prepare(OTHER, heads[OTHER], [CREATED], cast.SYSTEM, view.now),
        ]
    pair.record(OTHER, [CREATED], cast.SYSTEM)
    with pair.store.book() as tx:
        assert not append_together(tx, told)
    with pair.store.look() as view:
        assert view.gather([WHO], None)[0].head == heads[WHO]


def test_an_older_key_read_later_does_not_become_the_newest():
    held = keyring._Entry(Instant(0))
    for kver in (2, 1):
        held.take(KeyRow(WHO, "", kver, "active", b"w", b"k", 1))
    assert held.newest == {"": 2}
