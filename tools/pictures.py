# ruff: noqa: INP001 - a script
"""Take the pictures of README and docs/tour.md from a served demo, by walking the tour.

    troth serve -w demo-workspace --port 8400          # beside it, a fresh demo
    python tools/pictures.py http://127.0.0.1:8400 demo-workspace/list-sample.csv

Writes docs/pictures/NAME.png (1280 px wide) and NAME-phone.png (360 px), each of at most 200 kB.
It walks the tour once, so it wants a demo on which nobody walked it yet. Everybody in the pictures
is invented. Needs the extra `[test]` and Chromium.
"""

import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "demo"))

from tour_walk import WHY, Walk, browsing, wait_for  # noqa: E402 - from the test's own folder

FOLDER = ROOT / "docs" / "pictures"
MOST_BYTES = 200_000
COLOURS = 256
A_WHILE_S = 4.0
WIDE, PHONE = (1280, 900), (360, 780)
SEGMENT, MESSAGE, CAMPAIGN = "one-to-three-months", "come-back", "november"


_SCROLL = """(s) => {
    const top = document.querySelector(s).getBoundingClientRect().top;
    const frame = s === "main" ? innerWidth > 600 ? scrollY + top : 0 : 16;
    scrollTo(0, scrollY + top - frame);
}"""
"""At a desk a page is shown from its head on; on a phone from its own first line on."""


class Camera:
    """Takes each page twice: as a desk sees it, and as a phone does."""

    def __init__(self, walk: Walk, folder: Path) -> None:
        """Keep the pictures in `folder`."""
        self._page = walk.page
        self._folder = folder

    def take(self, name: str, top: str = "main", tall: int = 0) -> None:
        """Take what begins at `top`; `tall` is the height at a desk, 0 one screen."""
        for suffix, (width, height) in (("", WIDE), ("-phone", PHONE)):
            self._page.set_viewport_size(
                {"width": width, "height": (not suffix and tall) or height}
            )
            for _ in range(2):  # frames that load on the way move what stands below them
                self._page.evaluate(_SCROLL, top)
                self._settle()
            small = fewer_colours(self._page.screenshot())
            if len(small) > MOST_BYTES:
                raise SystemExit(
                    f"{name}{suffix}.png has {len(small)} bytes; take less of the page"
                )
            (self._folder / f"{name}{suffix}.png").write_bytes(small)
            sys.stdout.write(f"{name}{suffix}.png {len(small)}\n")
        self._page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})

    def _settle(self) -> None:
        """Wait until the letters in frames are there."""
        self._page.wait_for_load_state("networkidle")
        self._page.evaluate(
            "() => new Promise(f => requestAnimationFrame(() => setTimeout(f, 300)))"
        )


def main(address: str, sample: Path) -> None:
    """Walk the tour and take its pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with browsing() as browser:
        lindiwe = Walk(browser, address)
        camera = Camera(lindiwe, FOLDER)
        lindiwe.open("/")
        camera.take("hub", "main", tall=1000)
        lindiwe.come_in_as("Lindiwe")
        _list(lindiwe, camera, sample)
        _segment(lindiwe, camera)
        _message(lindiwe, camera)
        _campaign(lindiwe, Walk(browser, address), camera)
        lindiwe.open("/inbox")
        lindiwe.page.locator("main a[href^='/inbox/']").first.click()
        camera.take("mail", "main")
        told = lindiwe.page.locator("dt:text-is('To') + dd").inner_text()
        lindiwe.press("Stop these mails")
        lindiwe.press("Stop these messages")
        lindiwe.open("/console/report")
        lindiwe.press("Count now")
        camera.take("report", "main", tall=1100)
        _customer(Walk(browser, address))
        officer = Walk(browser, address)
        _complaint(officer, Camera(officer, FOLDER), told)
        _protection(Walk(browser, address))


def _protection(gareth: Walk) -> None:
    """Come in as IT: who can see what, where it lies, what holds, and a lost disk."""
    camera = Camera(gareth, FOLDER)
    gareth.come_in_as("Gareth")
    camera.take("it-door", "main", tall=1000)
    gareth.open("/console/access")
    camera.take("access", "main", tall=1650)
    gareth.open("/console/map")
    camera.take("map", "main", tall=1450)
    gareth.open("/console/doctor")
    camera.take("doctor", "main", tall=1250)
    gareth.open("/console/backups")
    gareth.press("Lose the disk and restore yesterday")
    wait_for(
        lambda: "Annelie is not mailed" in gareth.text("#drill"), "the outcome of the disaster"
    )
    camera.take("disaster", "#drill", tall=1100)


def _customer(thandeka: Walk) -> None:
    """Come in as a customer and look at what is theirs."""
    camera = Camera(thandeka, FOLDER)
    thandeka.open("/")
    thandeka.press("Come in as Thandeka Mokoena")
    camera.take("my", "body", tall=1100)
    thandeka.open("/my/level?at=2")
    camera.take("my-level", "body", tall=1150)
    thandeka.open("/my/activity")
    camera.take("my-activity", "body", tall=1000)
    thandeka.open("/")
    thandeka.press("Come in as Annelie van der Merwe")
    thandeka.page.locator("footer button:text-is('English')").click()
    thandeka.open("/my/uses")
    camera.take("my-uses", "body", tall=1000)


def _list(lindiwe: Walk, camera: Camera, sample: Path) -> None:
    lindiwe.drop_list(sample)
    lindiwe.check_list()
    camera.take("list-check", "main", tall=1150)


def _segment(lindiwe: Walk, camera: Camera) -> None:
    lindiwe.count_segment(SEGMENT)
    camera.take("segment", "#answer", tall=1250)
    lindiwe.publish_segment(WHY)


def _message(lindiwe: Walk, camera: Camera) -> None:
    lindiwe.begin_message(MESSAGE)
    lindiwe.write_message()
    lindiwe.show_level("all")
    camera.take("message", "#look", tall=1300)
    lindiwe.press("Publish")


def _campaign(lindiwe: Walk, sipho: Walk, camera: Camera) -> None:
    lindiwe.plan(CAMPAIGN, SEGMENT, MESSAGE)
    lindiwe.press("Submit for approval")
    sipho.come_in_as("Sipho")
    sipho.open(f"/console/campaigns/{CAMPAIGN}")
    Camera(sipho, FOLDER).take("approval", "main", tall=1000)
    sipho.press("Approve it")
    lindiwe.open(f"/console/campaigns/{CAMPAIGN}")
    lindiwe.press("Send it now")
    lindiwe.wait_for_stage("Running")
    wait_for(lambda: "people done" in lindiwe.text(), "some progress")
    time.sleep(A_WHILE_S)
    lindiwe.press("Pause")
    wait_for(lambda: _reloaded(lindiwe), "the first mails counted")
    camera.take("campaign", "main", tall=1000)
    lindiwe.press("Let it go on")
    lindiwe.wait_for_stage("Finished")


def _reloaded(lindiwe: Walk) -> bool:
    lindiwe.open(f"/console/campaigns/{CAMPAIGN}")
    return lindiwe.row("Handed to the mail relay") != "0"


def _complaint(officer: Walk, camera: Camera, address: str) -> None:
    officer.open("/signin")
    officer.press("Nokuthula · Privacy officer")
    officer.open("/console/complaint")
    officer.page.fill("[name=address]", address)
    officer.page.fill("[name=case]", "IR-2026-118")
    officer.page.locator("main form button").first.click()
    officer.page.wait_for_load_state()
    camera.take("complaint", "main", tall=1100)


# A picture in few colours


def fewer_colours(png: bytes) -> bytes:
    """Return a PNG of at most 256 colours: the most frequent, else the nearest."""
    pixels = _pixels(png)
    height, width, _ = pixels.shape
    flat = pixels.reshape(-1, 3).astype(np.uint32)
    whole = flat[:, 0] << 16 | flat[:, 1] << 8 | flat[:, 2]
    found, place, times = np.unique(whole, return_inverse=True, return_counts=True)
    kept = found[np.argsort(-times, kind="stable")[:COLOURS]]
    palette = np.stack([kept >> 16, kept >> 8 & 255, kept & 255], axis=1).astype(np.int32)
    every = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.int32)
    nearest = np.concatenate(
        [((part[:, None] - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
         for part in np.array_split(every, max(1, len(every) // 4096))]
    ).astype(np.uint8)  # fmt: skip
    rows = nearest[place.reshape(height, width)]
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", head), (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""),
    )  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _parts(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += 12 + size


def _pixels(png: bytes) -> Any:  # noqa: ANN401 - an array of height, width, 3
    """Read what Chromium writes: 8 bits, RGB or RGBA, not interlaced."""
    parts = list(_parts(png))
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", dict(parts)[b"IHDR"])
    if (depth, interlaced) != (8, 0) or kind not in {2, 6}:
        raise SystemExit("this is no screenshot of Chromium")
    step = 3 if kind == 2 else 4  # noqa: PLR2004 - PNG's own numbers
    raw = zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
    lines = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * step)
    out = np.zeros((height, width, step), np.uint8)
    before = np.zeros((width, step), np.uint8)
    for y in range(height):
        before = out[y] = _unfiltered(int(lines[y, 0]), lines[y, 1:].reshape(width, step), before)
    return out[:, :, :3]


def _unfiltered(kind: int, line: Any, up: Any) -> Any:  # noqa: ANN401 - rows of pixels
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint8)
    if kind == 2:  # noqa: PLR2004 - PNG's own numbers
        return line + up
    width, step = line.shape
    made = np.zeros_like(line)
    for c in range(step):
        left = corner = 0
        values, above = line[:, c].tolist(), up[:, c].tolist()
        for x in range(width):
            guess = (left + above[x]) // 2 if kind == 3 else _paeth(left, above[x], corner)  # noqa: PLR2004
            left, corner = (values[x] + guess) & 255, above[x]
            made[x, c] = left
    return made


def _paeth(a: int, b: int, c: int) -> int:
    p = a + b - c
    near = abs(p - a), abs(p - b), abs(p - c)
    return (a, b, c)[near.index(min(near))]


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
