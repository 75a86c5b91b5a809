"""The catalogues of the customer's side: every sentence translated, nothing lost on the way."""

import ast
import gettext
from importlib import util
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
_spec = util.spec_from_file_location("catalogues", ROOT / "tools" / "catalogues.py")
catalogues = util.module_from_spec(_spec)
_spec.loader.exec_module(catalogues)


@pytest.fixture(scope="module")
def every() -> Catalog:
    return catalogues.sentences()


def test_the_pages_are_read(every):
    said = {m.id if isinstance(m.id, str) else m.id[0] for m in every}
    assert "Stop everything" in said  # a template
    assert "We know %(n)s thing about you." in said  # a template's plural
    assert "Your e-mail address" in said  # a module
    assert len(every) > 1_000


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_every_sentence_is_translated_and_names_what_its_own_does(every, language):
    assert catalogues.faults(catalogues.in_step(language, every)) == []


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_what_is_compiled_is_what_is_written(every, language):
    po, mo = catalogues.written(catalogues.in_step(language, every))
    place = catalogues.PLACE / language / "LC_MESSAGES"
    assert (place / "portal.po").read_bytes() == po
    assert (place / "portal.mo").read_bytes() == mo
    with (place / "portal.mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Stop everything") != "Stop everything"


def test_each_draft_says_that_no_native_reader_has_read_it():
    for language in catalogues.LANGUAGES:
        text = (catalogues.PLACE / language / "LC_MESSAGES" / "portal.po").read_text("utf-8")
        assert "no native reader" in text[:400]


def test_the_check_itself_finds_what_is_missing_and_what_is_wrong():
    bad = Catalog(locale="af")
    bad.add("Hello %(name)s.", "Hallo %(naam)s.")
    bad.add("All", "")
    bad.add(("%(n)s thing", "%(n)s things"), ("%(n)s ding", "100% dinge"))
    found = catalogues.faults(bad)
    assert len(found) == 3
    assert any("names something else" in each for each in found)
    assert any("not translated" in each for each in found)
    assert any("per cent" in each for each in found)


def marked(repository):
    """Yield every sentence a module marks for readers, wherever it lies."""
    for path in (repository / "src" / "troth" / "surfaces").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = ast.unparse(node.func)
                first = node.args[0]
                if name in {"N_", "Said", "counted"} and isinstance(first, ast.Constant):
                    yield path.name, first.value


def test_no_sentence_marked_anywhere_is_left_out_of_the_catalogues(repository, every):
    held = {m.id[0] if isinstance(m.id, tuple) else m.id for m in every}
    left = [(name, text) for name, text in marked(repository) if text and text not in held]
    assert left == []
    assert any(name == "timeline.py" for name, _ in marked(repository))
