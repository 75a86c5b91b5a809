"""Real database servers for tests: a private cluster each, on a socket in a folder of its own."""

import atexit
import functools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

PG = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]


def _user(name: str) -> list[str]:
    """The words before a command that must not run as root."""
    if os.getuid() != 0:
        return []
    who = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"tr-{name[:2]}-"))
    if os.getuid() == 0:
        shutil.chown(folder, name, name)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _waiting(tries, attempt):
    for _ in range(tries):
        try:
            return attempt()
        except (psycopg.OperationalError, OSError):
            time.sleep(0.1)
    return attempt()


@functools.cache
def postgres() -> tuple[str, Path]:
    """Return the URL of its superuser and the folder of its data; started once a run."""
    folder = _folder("postgres")
    as_user = _user("postgres")
    run = functools.partial(
        subprocess.run, check=True, capture_output=True, cwd=folder, timeout=60
    )
    run([*as_user, PG / "initdb", "-D", folder / "data", "-U", "owner", "-A", "trust", "-E", "UTF8",
         "--locale=C", "--no-sync"])  # fmt: skip
    told = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    server = subprocess.Popen(
        [*as_user, PG / "postgres", "-D", folder / "data", *told.replace("''", "").split()],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(_stop, server)
    url = f"postgresql://owner@/postgres?host={folder}"
    _waiting(100, lambda: psycopg.connect(url).close())
    return url, folder


@functools.cache
def mariadb() -> tuple[str, Path]:
    """Return the URL of its root account and the folder of its data; started once a run."""
    folder = _folder("mysql")
    as_user = _user("mysql")
    own = [f"--datadir={folder / 'data'}", "--no-defaults"]
    subprocess.run(
        ["mariadb-install-db", own[1], own[0], "--auth-root-authentication-method=normal",
         *(["--user=mysql"] if as_user else []), "--skip-test-db"],
        check=True, capture_output=True, timeout=90,
    )  # fmt: skip
    server = subprocess.Popen(
        [*as_user, "/usr/sbin/mariadbd", own[1], own[0], f"--socket={folder / 's'}",
         "--skip-networking", f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
         "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(_stop, server)
    _waiting(200, lambda: _knock(folder / "s"))
    return f"mysql://root@localhost/shop?unix_socket={folder / 's'}", folder


def _knock(place: Path) -> None:
    """Reach a socket; pymysql would leave one open that does not answer."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(place))


def _stop(server: subprocess.Popen) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
