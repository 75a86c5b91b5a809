"""Taking one's data along: asked for by a form, recorded first, fetched as one file."""

import io
import json
import zipfile

import portal_door
import pytest
from portal_door import shop

from troth.surfaces.portal import download

HERE = "/my/download"


@pytest.fixture(scope="module", autouse=True)
def own_shop():
    """A shop of this file's own: its people are as the files brought them."""
    shop.cache_clear()
    yield
    shop.cache_clear()


def got(client, part):
    return portal_door.post(client, HERE, HERE, part=part)


def archive(answer):
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_the_page_says_what_is_in_it_how_large_it_is_and_that_it_is_recorded():
    text = portal_door.door("shop-40").get(HERE).text
    for words in (
        "Download everything",
        "about",
        "kB",
        "Who used my data",
        "data.json",
        "receipts/",
    ):
        assert words in text


def test_everything_comes_as_one_file_that_nobody_keeps():
    client = portal_door.door("shop-41")
    answer = got(client, "all")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    names = archive(answer).namelist()
    assert {"index.html", "summary.pdf", "data.json", "policy"} <= set(names)
    reads = [r.event for r in shop().chain("shop-41") if r.event.type == "data.read"]
    assert any("package" in r.payload.fields for r in reads)
    assert all(r.actor.startswith("person/") for r in reads)


def test_only_the_tables_or_only_the_data_may_be_taken():
    client = portal_door.door("shop-42")
    assert all(n.endswith((".csv", ".txt")) for n in archive(got(client, "csv")).namelist())
    data = archive(got(client, "json")).read("data.json")
    assert json.loads(data)["format"] == "troth.package"


def test_a_form_of_nobody_or_of_another_part_takes_nothing():
    client = portal_door.door("shop-43")
    assert client.post(HERE, data={"part": "all", "form": "x"}).status_code in (400, 403)
    assert got(client, "everything").status_code == 400
    assert client.get(HERE, params={"part": "all"}).headers["content-type"].startswith("text/html")


def test_one_persons_file_holds_nobody_elses_number():
    raw = archive(got(portal_door.door("shop-44"), "all"))
    whole = b"".join(raw.read(name) for name in raw.namelist())
    assert b"shop-44" in whole
    assert not any(f"shop-{n}".encode() in whole for n in range(31, 61) if n != 44)


def test_the_page_inside_is_in_the_readers_language_and_the_brands_colours():
    client = portal_door.door("shop-45", language="af")
    text = archive(got(client, "all")).read("index.html").decode()
    assert '<html lang="af">' in text
    assert "--band:#2f4a3a" in text


def test_a_long_one_is_fetched_from_the_page_when_it_is_ready(monkeypatch):
    monkeypatch.setattr(download, "WAIT_S", 0.0)
    client = portal_door.door("shop-46")
    first = got(client, "all")
    assert (first.status_code, first.headers["location"]) == (303, HERE)
    for _ in range(200):
        if "Your file is ready" in client.get(HERE).text:
            break
    monkeypatch.setattr(download, "WAIT_S", 5.0)
    assert "data.json" in archive(got(client, "all")).namelist()
    assert "Your file is ready" not in client.get(HERE).text
