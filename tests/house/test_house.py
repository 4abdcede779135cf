"""The promises of the repository itself: one version, documented modules, commands that exist, no dependency undeclared."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import saddlepoint
from saddlepoint import evaluation

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "saddlepoint"
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
IMPORT_NAMES = {"pillow": "PIL", "scikit-image": "skimage", "scikit-learn": "sklearn"}


@functools.cache
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def repository_files() -> list[Path]:
    """Every file that git tracks or would track."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def requirement_names(requirements: list[str]) -> list[str]:
    return [re.match(r"[\w-]+", requirement).group() for requirement in requirements]


def test_one_version_everywhere():
    assert "version" in project()["project"]["dynamic"]
    assert project()["tool"]["hatch"]["version"]["path"] == "saddlepoint/__init__.py"
    assert re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M).group(1) == saddlepoint.__version__
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M).group(1) == saddlepoint.__version__


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_subpackages_import_nothing():
    """A room's name costs nothing; what it offers by name is loaded when it is asked for."""
    for path in PACKAGE.glob("*/**/__init__.py"):
        tree = list(ast.walk(ast.parse(path.read_text())))
        imported = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in tree if isinstance(node, ast.ImportFrom)}
        assert imported <= {"__future__", "importlib", "typing"}, f"{path} imports {imported}"


def test_metrics_are_found_by_name_where_they_live():
    for name in evaluation.__all__:
        assert callable(getattr(evaluation, name))


def make_targets() -> dict[str, list[str]]:
    rules = re.findall(r"^([a-z-]+):(?!=) *([a-z -]*)", (ROOT / "Makefile").read_text(), re.M)
    return {target: prerequisites.split() for target, prerequisites in rules}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_on_the_pages_are_make_targets(page):
    asked = set(re.findall(r"(?:`|^    |^\$ )make ([a-z-]+)", page.read_text(), re.M))
    assert asked <= set(make_targets())


def test_continuous_integration_runs_the_test_command_of_the_readme():
    assert "make test" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make check")
    assert make_targets()["check"][-1] == "test"  # last, so that the run closes with the line that counts the tests


def test_a_python_that_is_too_old_is_named_in_one_line(tmp_path):
    command = ["make", "-s", "env", "PYTHON=no-such-python", f"VENV={tmp_path}/venv"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode != 0
    assert "saddlepoint needs Python 3.11 or newer" in result.stderr


def test_no_file_holds_a_path_of_somebodys_machine():
    machine_path = re.compile(rb"(?<![\w.~])/(?:work|root|home|opt|Users)/\w")
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" not in content:
            assert not machine_path.search(content), f"{path.relative_to(ROOT)}: {machine_path.search(content).group()!r}"


def test_import_is_lazy():
    code = "import sys, saddlepoint; saddlepoint.__version__; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = ast.literal_eval(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not {"torch", "numpy", "scipy", "sklearn", "PIL", "tyro", "rich"} & set(loaded)


def test_a_room_does_not_hide_the_verb_of_its_name():
    code = "import saddlepoint.report, saddlepoint; print(type(saddlepoint.report).__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "function\n"


def test_unknown_verbs_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        saddlepoint.trian  # noqa: B018


def imported_by_the_package() -> set[str]:
    """Top-level names of all third-party modules that the package imports anywhere."""
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"saddlepoint", "__future__"}


def test_every_dependency_is_declared_and_used():
    needed = requirement_names(project()["project"]["dependencies"])
    extras = project()["project"]["optional-dependencies"]
    optional = [name for extra, names in extras.items() if extra != "dev" for name in requirement_names(names)]
    modules = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in needed}
    optional_modules = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in optional}
    imported = imported_by_the_package()
    assert modules - imported == set(), "declared, but not used"
    assert imported - modules - optional_modules == set(), "used, but not declared"


def test_every_dependency_has_its_reason():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    listed = set(re.findall(r"^\| ([\w-]+) \| [\d.]+ \|", page, re.M))
    extras = project()["project"]["optional-dependencies"].values()
    declared = requirement_names(
        project()["project"]["dependencies"] + [name for names in extras for name in names] + project()["build-system"]["requires"]
    )
    assert listed == set(declared)
