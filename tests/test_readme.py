"""What README and the docs say is run here, or it is not said."""

import json
import re
import subprocess
import sys
import tomllib

import pytest


@pytest.fixture(scope="module")
def readme(repository):
    return (repository / "README.md").read_text("utf-8")


def test_the_figures_shown_first_are_the_demos_own(readme, whole_demo):
    _, told = whole_demo
    block = re.search(r"```console\n.*?(\{.*?…\n\})", readme, re.DOTALL)[1]
    shown = json.loads(block.replace("  …\n", "").rstrip("}\n").rstrip().rstrip(",") + "}")
    assert len(shown) >= 10
    assert {name: told[name] for name in shown} == shown


def test_both_commands_of_the_first_screen_exist(readme, repository):
    makefile = (repository / "Makefile").read_text("utf-8")
    for target in ("demo", "test", "soak", "bench", "verify-tool"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_command_named_answers_to_help(readme):
    named = set(re.findall(r"`troth ([a-z]+)", readme)) | {"init", "import", "explain", "demo"}
    for command in sorted(named):
        done = subprocess.run(
            [sys.executable, "-m", "troth", command, "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, command


def test_the_python_version_named_is_the_one_required(readme, repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.search(r"Needs Python (\d\.\d+)", readme)[1]
    assert project["requires-python"] == f">={named}"


def test_every_link_and_picture_leads_somewhere(repository):
    for page in [repository / "README.md", *(repository / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_test_named_in_the_asks_exists(repository):
    asks = (repository / "docs" / "asks.md").read_text("utf-8")
    for path in re.findall(r"`(tests/[^`…]+)`", asks):
        assert (repository / path).exists(), path


def test_provenance_is_said_wherever_the_data_are_shown(readme):
    wording = "the package's README calls them simulated and gives 801 households"
    assert wording in readme
