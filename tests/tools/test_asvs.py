"""The list of security requirements: whole, honest in its counts, and what code alone can show."""

import ast
import re
from collections import Counter

import pytest

ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| (\w+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
STATES = {"holds", "part", "open", "none"}
LEVELS_1_AND_2 = 253
"""How many requirements of the levels 1 and 2 version 5.0.0 of the standard has."""


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "asvs.md").read_text("utf-8")


@pytest.fixture(scope="module")
def sources(repository):
    folder = repository / "src" / "troth"
    return {
        str(path.relative_to(folder)): ast.parse(path.read_text("utf-8"))
        for path in folder.rglob("*.py")
    }


def test_every_requirement_stands_there_once(page):
    numbers = [number for number, *_ in ROW.findall(page)]
    assert len(numbers) == len(set(numbers)) == LEVELS_1_AND_2
    assert {int(n.split(".")[0]) for n in numbers} == set(range(1, 18))


def test_the_counts_said_are_the_counts(page):
    states = Counter(state for _, state, *_ in ROW.findall(page))
    assert set(states) <= STATES
    said = re.search(r"\*\*(\d+) hold, (\d+) hold in part, (\d+) (?:is|are) open, (\d+) do", page)
    assert [int(n) for n in said.groups()] == [
        states[s] for s in ("holds", "part", "open", "none")
    ]


def test_what_holds_names_what_shows_it_and_every_file_named_exists(page, repository):
    for number, state, _, shown in ROW.findall(page):
        named = re.findall(r"`([^`]+)`", shown)
        assert named or state in {"none", "open"}, number
        for each in named:
            assert (repository / each).is_file(), f"{number}: {each}"


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


BANNED = {
    "eval", "exec", "compile", "os.system", "os.popen", "pickle.loads", "pickle.load",
    "marshal.loads", "hashlib.md5", "random.random", "random.choice", "yaml.load",
}  # fmt: skip


def banned(sources):
    return [
        (place, name)
        for place, tree in sources.items()
        for name, node in calls(tree)
        if name in BANNED
        or any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords)
    ]


def test_nothing_is_run_unpickled_or_hashed_the_weak_way(sources):
    assert banned(sources) == []
    planted = {"planted.py": ast.parse("import os\nos.system('ls')\neval('1')")}
    assert len(banned(planted)) == 2


def test_randomness_comes_from_one_file(sources):
    taking = {
        place
        for place, tree in sources.items()
        for name, _ in calls(tree)
        if name in {"os.urandom", "secrets.token_bytes", "secrets.token_hex", "uuid.uuid4"}
    }
    assert taking <= {"adapters/system.py"}


def test_ciphers_are_of_one_mode_and_sha_1_serves_one_time_codes_alone(sources):
    sha1 = {p for p, tree in sources.items() for n, _ in calls(tree) if n.endswith("sha1")}
    named = {
        p for p, tree in sources.items()
        if any(isinstance(n, ast.Constant) and n.value == "sha1" for n in ast.walk(tree))
    }  # fmt: skip
    assert sha1 | named <= {"capabilities/access/rules.py", "crypto.py"}
    crypto = ast.unparse(sources["crypto.py"])
    for weak in ("ECB", "CBC", "ARC4", "MD5", "TripleDES"):
        assert weak not in crypto


def test_what_people_type_is_never_a_pattern(sources):
    """Every pattern is made from constants of the program, or from values it escaped."""
    odd = []
    for place, tree in sources.items():
        for name, node in calls(tree):
            if name not in {"re.compile", "re.match", "re.search", "re.sub", "re.findall",
                            "re.fullmatch", "re.split", "re.finditer"}:  # fmt: skip
                continue
            first = node.args[0]
            text = ast.unparse(first)
            plain = isinstance(first, ast.Constant) or "re.escape" in text
            if not plain and not re.fullmatch(
                r"_?[A-Z][A-Z0-9_]*( \+ .*)?|f?r?b?['\"].*", text, re.DOTALL
            ):
                odd.append((place, text))
    assert [each for each in odd if each[0] not in CONSTANT_PATTERNS] == [], odd


CONSTANT_PATTERNS = {
    "engines/dpv/schema.py": "the schema shipped with the program",
    "engines/mail/findings.py": "patterns of the checks beside it",
    "kernel/audience/reading.py": "patterns of its own table of keys",
}
"""Files that hand a pattern on, and whose it is."""


def test_no_format_string_comes_from_outside(sources):
    """`text.format(...)` is called on constants, on words of the program's own files, or not."""
    odd = {
        place
        for place, tree in sources.items()
        for name, node in calls(tree)
        if name.endswith(".format_map") and place not in {"capabilities/rights/certificates.py"}
        and node
    }  # fmt: skip
    assert not odd, odd
