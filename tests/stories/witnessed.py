"""A small house with a witness beside it: both real, over a real socket, on this machine alone."""

import threading
from contextlib import contextmanager

import marula
import uvicorn

from troth.app import witness_server, witnesses
from troth.surfaces.web.server import listen
from troth.surfaces.witness_server import application
from troth.terms import instant

NAME = "witness.example/w1"


class Watching:
    """A witness served from a thread; can fall silent, and be asked directly."""

    def __init__(self, data, logs, clock=None, name=NAME):
        if not data.exists():
            witness_server.init_witness(data, name)
        self.witness = witness_server.open_witness(data, logs, clock=clock)
        self.sock = listen(0)
        self.port = self.sock.getsockname()[1]
        config = uvicorn.Config(application(self.witness), log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.sock]}, daemon=True
        )
        self.thread.start()

    @property
    def vkey(self):
        return self.witness.store.vkey

    def table(self, name="w1", operator="A consumer body"):
        return (
            f'\n[witnesses.{name}]\nvkey = "{self.vkey}"\n'
            f'url = "http://127.0.0.1:{self.port}"\noperator = "{operator}"\n'
        )

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)
        self.sock.close()


class Fixed:
    """A clock that stands at the house's own time."""

    def now(self):
        return instant(marula.NOW)


@contextmanager
def watched(folder, work, quorum='"any"', operator="A consumer body"):
    """Yield an opened house and its witness."""
    house = marula.House(folder)
    watching = Watching(work / "w.db", [house.ws.signer.key.vkey], Fixed())
    toml = folder / "troth.toml"
    before = toml.read_text()
    toml.write_text(
        before + watching.table(operator=operator) + f"\n[ledger]\nquorum = {quorum}\n"
    )
    house.ws.close()
    house.open()
    try:
        yield house, watching
    finally:
        house.ws.close()
        watching.close()
        toml.write_text(before)


def ask(house):
    return witnesses.ask_witnesses(house.ws)
