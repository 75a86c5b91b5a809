"""Whoever holds the keys of the epochs keeps one contract, and promises no more than it can."""

import os
import subprocess
import sys
import threading

import cast
import pytest
from keyrings.alt.file import PlaintextKeyring

from troth.adapters import providers
from troth.adapters.providers import FileProvider, KeyringProvider, passphrase_of
from troth.errors import EvidenceBroken, InvalidInput, Unavailable

NOW = cast.NOW


class ProviderContract:
    """What every provider must keep; another one subclasses this with a `made` of its own.

    `made` returns a provider, `again` one over the same keys as a new process would open it.
    """

    def test_what_was_wrapped_opens_again_in_its_place_alone(self, made, again):
        made.new_epoch(1)
        made.new_epoch(2)
        sealed = made.wrap(1, b"k" * 32, b"place")
        assert made.unwrap(1, sealed, b"place") == again().unwrap(1, sealed, b"place") == b"k" * 32
        for epoch, aad in ((1, b"elsewhere"), (2, b"place")):
            with pytest.raises(EvidenceBroken):
                made.unwrap(epoch, sealed, aad)

    def test_the_same_key_is_never_wrapped_to_the_same_bytes(self, made):
        made.new_epoch(1)
        assert len({made.wrap(1, b"k" * 32, b"") for _ in range(200)}) == 200

    def test_an_epoch_that_exists_stays_as_it_is(self, made, again):
        made.new_epoch(1)
        sealed = made.wrap(1, b"k" * 32, b"")
        made.new_epoch(1)
        again().new_epoch(1)
        assert again().unwrap(1, sealed, b"") == b"k" * 32
        assert made.epochs() == again().epochs() == [1]

    def test_a_destroyed_epoch_opens_nothing_and_is_told_as_gone(self, made, again):
        made.new_epoch(1)
        made.new_epoch(2)
        sealed = made.wrap(1, b"k" * 32, b"")
        kept = made.wrap(2, b"k" * 32, b"")
        done = made.destroy_epoch(1, NOW)
        assert made.destroy_epoch(1, NOW) == done
        assert done.final_after >= NOW
        assert done.method == made.promise(NOW).method
        for provider in (made, again()):
            assert provider.epochs() == [2]
            with pytest.raises(Unavailable):
                provider.unwrap(1, sealed, b"")
            assert provider.unwrap(2, kept, b"") == b"k" * 32

    def test_an_epoch_that_never_was_is_unavailable(self, made):
        with pytest.raises(Unavailable):
            made.wrap(9, b"k" * 32, b"")
        assert made.epochs() == []

    def test_no_promise_is_more_than_the_provider_can_keep(self, made):
        said = made.promise(NOW).method.lower()
        assert said
        assert not any(word in said for word in ("100", "safe", "guarantee", "certain"))


class EscrowContract:
    """What a provider whose key may leave it must keep."""

    def test_a_key_comes_out_and_is_put_back(self, made, again):
        made.new_epoch(1)
        key = made.export(1)
        sealed = made.wrap(1, b"k" * 32, b"")
        made.destroy_epoch(1, NOW)
        again().put_back(1, key)
        fresh = again()
        assert fresh.unwrap(1, sealed, b"") == b"k" * 32
        fresh.put_back(1, bytes(32))
        assert again().export(1) == key


class TestFile(ProviderContract, EscrowContract):
    @pytest.fixture
    def again(self, tmp_path):
        return lambda: FileProvider(tmp_path, cast.Stream(b"again"))

    @pytest.fixture
    def made(self, tmp_path):
        return FileProvider(tmp_path, cast.Stream(b"file"))


class TestFileUnderAPassphrase(TestFile):
    @pytest.fixture
    def again(self, tmp_path):
        return lambda: FileProvider(tmp_path, cast.Stream(b"again"), b"long words")

    @pytest.fixture
    def made(self, tmp_path):
        return FileProvider(tmp_path, cast.Stream(b"locked"), b"long words")


class TestKeyring(ProviderContract, EscrowContract):
    @pytest.fixture
    def backend(self, tmp_path):
        ring = PlaintextKeyring()
        ring.file_path = str(tmp_path / "ring.cfg")
        return ring

    @pytest.fixture
    def again(self, backend):
        return lambda: KeyringProvider(cast.WORKSPACE, cast.Stream(b"again"), backend)

    @pytest.fixture
    def made(self, backend):
        return KeyringProvider(cast.WORKSPACE, cast.Stream(b"ring"), backend)

    def test_two_houses_on_one_machine_do_not_meet(self, made, backend):
        made.new_epoch(1)
        other = KeyringProvider(bytes(16), cast.Stream(b"other"), backend)
        assert other.epochs() == []
        other.new_epoch(1)
        other.destroy_epoch(1, NOW)
        assert made.epochs() == [1]

    def test_a_damaged_entry_is_said_to_be_one(self, made, backend):
        made.new_epoch(1)
        for text in ("?", "aGVsbG8="):
            backend.set_password(f"troth/{cast.WORKSPACE.hex()}", "kek-1", text)
            with pytest.raises(EvidenceBroken):
                made.export(1)

    def test_V9_a_keyring_that_does_not_answer_is_unavailable(self, made, backend):
        backend.get_password = lambda *_: 1 / 0
        with pytest.raises(Unavailable, match="does not answer"):
            made.epochs()

    def test_a_keyring_that_keeps_what_it_deletes_is_not_believed(self, made, backend):
        made.new_epoch(1)
        backend.delete_password = lambda *_: None
        with pytest.raises(Unavailable, match="still holds"):
            made.destroy_epoch(1, NOW)


def test_a_machine_without_a_keyring_says_so(monkeypatch):
    import keyring
    from keyring.backends.fail import Keyring

    monkeypatch.setattr(keyring, "get_keyring", Keyring)
    with pytest.raises(Unavailable, match="no keyring"):
        providers.system_backend()
    monkeypatch.setattr(keyring, "get_keyring", PlaintextKeyring)
    assert isinstance(providers.system_backend(), PlaintextKeyring)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(Unavailable, match="troth"):
        providers.system_backend()


def test_key_files_are_for_their_owner_alone_and_overwritten_before_they_go(tmp_path):
    made = FileProvider(tmp_path, cast.Stream(b"file"))
    made.new_epoch(1)
    path = tmp_path / "kek-1.key"
    assert path.stat().st_mode & 0o777 == 0o600
    raw = path.read_bytes()
    os.link(path, tmp_path / "another-name")
    made.destroy_epoch(1, NOW)
    assert not path.exists()
    assert (tmp_path / "another-name").read_bytes() == bytes(len(raw))


def test_a_file_under_a_passphrase_holds_no_key_and_opens_with_the_right_one_alone(tmp_path):
    FileProvider(tmp_path, cast.Stream(b"file"), b"right").new_epoch(1)
    key = FileProvider(tmp_path, cast.Stream(), b"right").export(1)
    assert key not in (tmp_path / "kek-1.key").read_bytes()
    with pytest.raises(Unavailable, match="does not open"):
        FileProvider(tmp_path, cast.Stream(), b"wrong").export(1)
    with pytest.raises(Unavailable, match="under a passphrase"):
        FileProvider(tmp_path, cast.Stream()).export(1)


def test_a_passphrase_set_later_leaves_older_epochs_readable(tmp_path):
    FileProvider(tmp_path, cast.Stream(b"file")).new_epoch(1)
    later = FileProvider(tmp_path, cast.Stream(b"later"), b"words")
    assert len(later.export(1)) == 32
    later.new_epoch(2)
    with pytest.raises(Unavailable):
        FileProvider(tmp_path, cast.Stream()).export(2)


def test_a_damaged_key_file_is_said_to_be_one(tmp_path):
    for raw in (b"", b"\x05" * 31, b"\x02" * 40, b"\x07" * 93):
        (tmp_path / "kek-1.key").write_bytes(raw)
        with pytest.raises(EvidenceBroken):
            FileProvider(tmp_path, cast.Stream(), b"words").export(1)


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path):
    made = FileProvider(tmp_path / "nowhere", cast.Stream())
    with pytest.raises(Unavailable, match="cannot be written"):
        made.new_epoch(1)
    (tmp_path / "kek-1.key").mkdir()
    with pytest.raises(Unavailable, match="cannot be deleted"):
        FileProvider(tmp_path, cast.Stream()).destroy_epoch(1, NOW)


def test_a_passphrase_comes_from_where_the_settings_say():
    assert passphrase_of("", {}.get) == b""
    assert passphrase_of("env:TROTH", {"TROTH": "words"}.get) == b"words"
    for wrong in ("words", "env:", "fd:x", "file:/a"):
        with pytest.raises(InvalidInput, match="no reference"):
            passphrase_of(wrong, {}.get)
    with pytest.raises(Unavailable, match="not given"):
        passphrase_of("env:TROTH", {}.get)
    with pytest.raises(Unavailable):
        passphrase_of("fd:987", {}.get)


def test_a_passphrase_is_read_from_a_descriptor_once_and_kept():
    out, into = os.pipe()
    threading.Thread(target=lambda: (os.write(into, b"words\n"), os.close(into))).start()
    assert passphrase_of(f"fd:{out}", {}.get) == b"words"
    assert passphrase_of(f"fd:{out}", {}.get) == b"words"
    os.close(out)


KILLED = """
import os, signal, sys
from pathlib import Path
from troth.adapters import providers
from troth.adapters.system import SystemRandomness
made = providers.FileProvider(Path(sys.argv[1]), SystemRandomness())
providers.settle_folder = lambda _: os.kill(os.getpid(), signal.SIGKILL)
made.new_epoch(3)
"""


def test_V8_a_key_file_is_there_whole_or_not_at_all_after_a_kill(tmp_path):
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -9
    made = FileProvider(tmp_path, cast.Stream())
    made.new_epoch(3)
    assert len(made.export(3)) == 32
    (tmp_path / "kek-3.key").rename(tmp_path / "kek-3.new")
    made.new_epoch(3)
    assert [p.name for p in tmp_path.iterdir()] == ["kek-3.key"]
