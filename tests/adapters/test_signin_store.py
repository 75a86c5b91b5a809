"""The file of staff accounts: nothing without it, its owner's alone, broken said as broken."""

import pytest

from troth.adapters.signin import FileSignin
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.terms import DAY, SECOND, Account, Action, ApiKey, Instant, Passkey, Role

KEY, OTHER = b"k" * 16, b"o" * 16
NOW = Instant(1_800_000_000 * SECOND)


@pytest.fixture
def store(tmp_path):
    made = FileSignin(tmp_path)
    yield made
    made.close()


def test_reading_makes_no_file_and_finds_nothing(store, tmp_path):
    assert store.account(KEY) is None
    assert (store.passkeys(KEY), store.codes(KEY), store.api_keys()) == ([], [], [])
    assert (store.passkey(b"x"), store.api_key(b"x"), store.invite(b"x", NOW)) == (
        None,
        None,
        None,
    )
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_its_owners_alone_and_keeps_what_it_is_told(store, tmp_path):
    account = Account(KEY, "invited", b"h" * 16)
    store.add_account(account)
    store.add_account(Account(KEY, "active", b"i" * 16))
    assert store.account(KEY) == account, "one that exists stays"
    assert {f.stat().st_mode & 0o777 for f in tmp_path.iterdir()} == {0o600}
    again = FileSignin(tmp_path)
    assert again.account(KEY) == account
    again.close()


def test_states_move_only_from_where_they_are_and_each_move_ends_a_round(store):
    store.add_account(Account(KEY, "invited", b"h" * 16))
    assert not store.enter(KEY, NOW), "only an active account is entered"
    assert store.move(KEY, "invited", "active")
    assert not store.move(KEY, "invited", "suspended")
    assert store.enter(KEY, NOW)
    store.next_round(KEY)
    found = store.account(KEY)
    assert (found.state, found.round, found.last) == ("active", 2, NOW)


def test_a_step_a_code_and_an_invitation_are_taken_once(store):
    store.add_account(Account(KEY, "active", b"h" * 16))
    assert [store.spend_step(KEY, s) for s in (5, 5, 4, 6)] == [True, False, False, True]
    store.put_codes(KEY, [(b"s", b"hash")])
    assert [store.spend_code(k, b"hash") for k in (OTHER, KEY, KEY)] == [False, True, False]
    store.put_invite(b"d", KEY, Instant(NOW + DAY))
    assert [store.spend_invite(b"d", NOW) for _ in range(2)] == [True, False]


def test_a_passkey_is_not_taken_over_by_another_account(store):
    mine = Passkey(b"id", KEY, b"public", 3, NOW)
    store.put_passkey(mine)
    with pytest.raises(Conflict):
        store.put_passkey(Passkey(b"id", OTHER, b"other", 0, NOW))
    store.drop_passkey(OTHER, b"id")
    assert store.passkey(b"id") == mine
    store.forget(KEY)
    assert store.passkey(b"id") is None


def test_attempts_are_counted_by_whom_and_forgotten_after_a_day(store):
    waits = (0, 30 * SECOND)
    assert store.attempt(b"w", NOW, waits) == (1, 0)
    assert store.attempt(b"w", NOW, waits) == (2, NOW + 30 * SECOND)
    assert store.attempt(b"w", NOW, waits) == (0, NOW + 30 * SECOND)
    assert store.attempt(b"v", NOW, waits) == (1, 0)
    assert store.attempt(b"w", Instant(NOW + 2 * DAY), waits) == (1, 0)
    store.succeeded(b"w")
    assert store.attempt(b"w", Instant(NOW + 2 * DAY), waits) == (1, 0)


def test_two_live_keys_have_two_names(store):
    key = ApiKey(b"1", "shop", Role.MARKETER, frozenset({Action.SEND}), NOW, Instant(NOW + DAY))
    store.put_api_key(key)
    with pytest.raises(Conflict):
        store.put_api_key(ApiKey(b"2", "shop", Role.IT, frozenset(), NOW, NOW))
    assert store.api_keys() == [key]


def test_a_file_that_is_damaged_or_of_a_newer_program_is_said_to_be(store, tmp_path):
    path = tmp_path / "staff.db"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(EvidenceBroken):
        store.account(KEY)
    path.unlink()
    store.next_round(KEY)
    store._con.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(Unavailable, match="newer"):
        store.account(KEY)
