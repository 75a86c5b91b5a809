"""Walking the tour in a browser: what a marketer presses, step by step; judges nothing.

The story test and `tools/pictures.py` walk it both.
"""

import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--no-first-run", "--disable-component-update", "--disable-default-apps",
]  # fmt: skip
PATIENCE_S = 40.0
SUBJECT = "Hello {{first_name}}, the summer shelf is ready"
LINE = "Ripe mangoes, rooibos from the Cederberg, and bread that is still warm."
WHY = "Neither age nor language is asked for here; we look at it again next month."


@contextmanager
def browsing():
    """A quiet browser."""
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def wait_for(found: Callable[[], object], what: str) -> object:
    """Return what `found` finds, asked again until it finds something."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if answer := found():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


class Walk:
    """One browser window at one served demo."""

    def __init__(self, browser: Browser, address: str, width: int = 1280, scheme="light") -> None:
        self.address = address
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_S / 2 * 1000)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def text(self, where: str = "main") -> str:
        return self.page.inner_text(where)

    def press(self, words: str, where: str = "main") -> None:
        """Press the button or link of exactly these words, and wait for what it opens."""
        named = re.compile(rf"^\s*{re.escape(words)}\s*$")
        found = (
            self.page.locator(where).locator("button:not([aria-hidden]), a").filter(has_text=named)
        )
        with self.page.expect_navigation():
            found.first.click()

    def come_in_as(self, name: str) -> None:
        self.open("/tour")
        self.press(f"Open {name}’s door")

    # The list check

    def drop_list(self, file: Path) -> None:
        self.open("/console/list")
        self.page.set_input_files("#f-list", file)
        self.press("Look at the list")

    def check_list(self) -> None:
        self.press("Check the list")
        self.page.wait_for_selector("h1:has-text('you may mail')")

    def numbers(self) -> list[int]:
        """The large numbers of the page."""
        shown = self.page.locator(".numbers b").all_inner_texts()
        return [int(text.replace(",", "")) for text in shown if text.replace(",", "").isdigit()]

    def take_group(self, words: str) -> str:
        with self.page.expect_download() as coming:
            self.page.locator(".numbers li").filter(has_text=words).locator("button").click()
        return Path(coming.value.path()).read_text("utf-8")

    # Segments

    def add_condition(self, section: str, word: str, days: int) -> None:
        self.page.select_option(f"#add-{section}", word)
        button = self.page.locator(f"fieldset:has(#add-{section}) button").filter(has_text="Add")
        with self.page.expect_navigation():
            button.click()
        self.page.fill(f"[name='{section}0.days']", str(days))

    def count_segment(self, name: str) -> None:
        """People who last bought one to three months ago."""
        self.open("/console/segments/new")
        self.page.fill("#f-name", name)
        self.page.select_option("#f-purpose", "offers")
        self.add_condition("a", "last_sale_older_than", 30)
        self.add_condition("n", "last_sale_older_than", 90)
        self.press("Count")

    def publish_segment(self, why: str = "") -> None:
        self.page.fill("#f-reason", why)
        self.press("Publish")

    # Messages

    def begin_message(self, name: str) -> None:
        self.open("/console/messages/new")
        self.page.fill("#f-name", name)
        self.page.check("input[value=winback]")
        self.press("Begin")

    def show_level(self, level: str) -> None:
        self.page.locator(f"label:has(input[name=level][value='{level}'])").click()
        wanted = [str(k) for k in range(6)] if level == "all" else [level]
        steps = self.page.locator(".face .step")
        wait_for(lambda: steps.all_inner_texts() == wanted, "the message beside it")

    def write_message(self) -> None:
        self.page.fill("#f-subject", SUBJECT)
        for field in self.page.query_selector_all("textarea.prose"):
            if field.input_value().startswith("["):
                field.fill(LINE)
        wait_for(lambda: "Nothing to put right" in self.text("#look"), "the message without gaps")

    # Campaigns

    def plan(self, name: str, segment: str, message: str) -> None:
        self.open("/console/campaigns/new")
        self.page.fill("#f-name", name)
        self.page.select_option("#f-audience", label=f"{segment}@1")
        self.page.select_option("#f-template", label=f"{message}@1")
        self.press("Save the plan")

    def stage(self) -> str:
        return self.text(".head-row p").strip()

    def wait_for_stage(self, stage: str) -> None:
        """Look at the page as it moves by itself; nothing is reloaded."""
        wait_for(lambda: self.stage() == stage, stage)

    def row(self, title: str) -> str:
        """The figure beside a title of a table."""
        return self.page.locator(f"tr:has(th:has-text('{title}')) td").first.inner_text()


class Keyboard:
    """The same by keys alone."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self.page = walk, walk.page

    def go_to(self, what: str, most: int = 120) -> None:
        """Press Tab until what has the focus matches a selector."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(s) => document.activeElement?.matches(s) ?? false", what):
                return
        raise AssertionError(f"no key leads to {what}")

    def go_to_words(self, words: str, most: int = 120) -> None:
        """Press Tab until what has the focus says these words."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("document.activeElement?.innerText.trim()") == words:
                return
        raise AssertionError(f"no key leads to “{words}”")

    def enter(self, words: str) -> None:
        """Reach a button or link and press Enter."""
        self.go_to_words(words)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def write(self, where: str, text: str) -> None:
        self.go_to(where)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, where: str, words: str) -> None:
        """Choose in a list by typing what is wanted."""
        self.go_to(where)
        self.page.keyboard.type(words)
