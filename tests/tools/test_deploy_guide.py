"""The guide for a server, run as it stands: its blocks, its unit, its proxy with a certificate."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

NAMES = ("my.marula.example", "console.marula.example")


@pytest.fixture(scope="module")
def guide(repository):
    return (repository / "docs" / "deploy.md").read_text("utf-8")


def blocks(guide):
    """Return the blocks to run, in order: what they are marked with, and their lines."""
    return re.findall(r"^```sh ?(\w*)\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)


def bash(script, home, repository):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=repository, capture_output=True, text=True,
        env={**os.environ, "TROTH": str(home)}, check=False, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory, guide, repository):
    """Follow the guide in a clean folder, with this very program in place of a fresh install."""
    place = tmp_path_factory.mktemp("srv") / "troth"
    (place / "backups").mkdir(parents=True, mode=0o750)
    (place / "venv" / "bin").mkdir(parents=True)
    runs = place / "venv" / "bin" / "troth"
    runs.write_text(f'#!/bin/sh\nexec {sys.executable} -m troth "$@"\n', "utf-8")
    runs.chmod(0o755)
    before = ""
    for mark, text in blocks(guide):
        if "cd " in text and not before:
            before = text.replace('cd "$TROTH"\n', "")
        if mark != "install":
            bash(before + text, place, repository)
    return place


def test_the_guide_has_the_blocks_it_promises(guide):
    marks = [mark for mark, _ in blocks(guide)]
    assert marks.count("install") == 1
    assert marks.count("restore") == 1
    assert len(marks) >= 7


def test_followed_as_it_stands_it_leaves_a_house_that_runs(home):
    assert (home / "house" / "data" / "record.db").is_file()
    assert (home / "house" / "keys").stat().st_mode & 0o777 == 0o700
    assert (home / "house" / "data" / "audit.jsonl").stat().st_mode & 0o077 == 0
    assert (home / "backups" / "first.troth").stat().st_mode & 0o077 == 0
    assert (home / "restored" / "data" / "record.db").is_file()


@pytest.mark.parametrize("name", ["troth.service", "troth-backup.service", "troth-backup.timer"])
def test_systemd_reads_every_unit(repository, tmp_path, name):
    for each in (repository / "docs" / "deploy").glob("troth*"):
        text = each.read_text("utf-8").replace("/srv/troth/venv/bin/troth", "/bin/true")
        (tmp_path / each.name).write_text(
            re.sub(r"ExecStart=/bin/sh .*", "ExecStart=/bin/true", text), "utf-8"
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if name in line]
    assert not told, told
    spoilt = (tmp_path / name).read_text("utf-8").replace("[Unit]", "[Unit]\nAfterr=x")
    (tmp_path / name).write_text(spoilt, "utf-8")
    again = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Afterr" in again.stderr


def test_the_service_is_held_tight(repository):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
         str(repository / "docs" / "deploy" / "troth.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.fail("this systemd rates no unit offline: install systemd 250 or newer")
    assert done.returncode == 0, done.stdout[-400:]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def proxied(home, repository, tmp_path_factory):
    """Serve the house behind nginx as the guide has it; yield the port of TLS."""
    place = tmp_path_factory.mktemp("nginx")
    key, cert = place / "key.pem", place / "fullchain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=marula.example", "-keyout", key, "-out", cert,
         "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in NAMES)],
        check=True, capture_output=True,
    )  # fmt: skip
    inner, tls, plain = free_port(), free_port(), free_port()
    text = (repository / "docs" / "deploy" / "nginx.conf").read_text("utf-8")
    for was, now in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("/etc/ssl/troth/fullchain.pem", str(cert)), ("/etc/ssl/troth/key.pem", str(key)),
        ("127.0.0.1:8400", f"127.0.0.1:{inner}"),
        ("/var/log/nginx/troth-error.log", str(place / "error.log")),
    ):  # fmt: skip
        assert was in text
        text = text.replace(was, now)
    temps = "\n".join(
        f"{kind}_temp_path {place}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = place / "nginx.conf"
    whole.write_text(
        f"daemon off; pid {place}/pid; error_log {place}/error.log;\n"
        f"events {{}}\nhttp {{\n{temps}\n{text}\n}}\n", "utf-8",
    )  # fmt: skip
    settings = home / "house" / "troth.toml"
    if "[console]" not in settings.read_text("utf-8"):
        named = '\n[console]\nurl = "https://console.marula.example"\n'
        settings.write_text(settings.read_text("utf-8") + named, "utf-8")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    with contextlib.ExitStack() as until:
        for line in (
            [sys.executable, "-m", "troth", "serve", "-w", str(home / "house"), "--port",
             str(inner), "--no-worker"],
            [nginx, "-p", str(place), "-c", str(whole)],
        ):  # fmt: skip
            ran = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until.callback(ran.wait, 20)
            until.callback(ran.terminate)
        for port in (inner, tls):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
        yield tls, plain, cert


def ask(port, cert, name, path, headers=None):
    trust = ssl.create_default_context(cafile=str(cert))
    con = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=20)
    sock = socket.create_connection(("127.0.0.1", port), 20)
    con.sock = trust.wrap_socket(sock, server_hostname=name)
    with contextlib.closing(con):
        con.request("GET", path, headers={"Host": name, **(headers or {})})
        answer = con.getresponse()
        return answer, answer.read()


def test_customers_and_staff_reach_the_house_by_tls(proxied):
    tls, _, cert = proxied
    for name, path in ((NAMES[0], "/my"), (NAMES[1], "/signin"), (NAMES[0], "/ledger")):
        answer, body = ask(tls, cert, name, path)
        assert answer.status in (200, 303), (name, path, answer.status)
        assert answer.headers["strict-transport-security"]
        assert b"Traceback" not in body


def test_plain_http_is_sent_to_tls(proxied):
    _, plain, _ = proxied
    con = http.client.HTTPConnection("127.0.0.1", plain, timeout=20)
    with contextlib.closing(con):
        con.request("GET", "/my", headers={"Host": NAMES[0]})
        answer = con.getresponse()
    assert answer.status == 301
    assert answer.headers["location"] == f"https://{NAMES[0]}/my"


def test_a_cookie_set_behind_the_proxy_is_for_tls_alone(proxied):
    tls, _, cert = proxied
    seen = [
        cookie
        for name, path in ((NAMES[1], "/signin"), (NAMES[0], "/my"), (NAMES[0], "/my/enter"))
        for cookie in ask(tls, cert, name, path)[0].headers.get_all("set-cookie") or ()
    ]
    assert seen
    for cookie in seen:
        assert "secure" in cookie.lower(), cookie.partition("=")[0]


def test_another_host_is_not_served_through_the_proxy(proxied):
    tls, _, cert = proxied
    answer, _ = ask(tls, cert, NAMES[0], "/my", {"Host": "elsewhere.example"})
    assert answer.status in (400, 404, 421)


def test_the_proxy_keeps_no_log_of_paths(repository):
    text = (repository / "docs" / "deploy" / "nginx.conf").read_text("utf-8")
    assert "access_log off;" in text


@pytest.mark.soak
def test_the_program_installs_as_the_guide_says(guide, repository, tmp_path):
    source = tmp_path / "release"
    subprocess.run(["git", "clone", "-q", repository, source], check=True)
    place = tmp_path / "troth"
    place.mkdir()
    install = next(text for mark, text in blocks(guide) if mark == "install")
    bash(install, place, source)
    assert Path(place / "venv" / "bin" / "troth").is_file()
    bash('"$TROTH/venv/bin/troth" --version', place, source)
