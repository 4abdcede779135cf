"""The commands that the pages show are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import saddlepoint
from saddlepoint import api
from saddlepoint.cli.main import VERBS, main
from saddlepoint.verbs.choosing import Choice

ROOT = Path(saddlepoint.__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted({match for page in PAGES for match in re.findall(r"^(?:    |\$ )saddlepoint (.+)$", page.read_text(), re.M)})


class Understood(Exception):
    """Raised in the place of the work."""


@pytest.mark.parametrize("command", [command for command in COMMANDS if "VERB" not in command and "RECIPE" not in command])
def test_a_command_on_a_page_is_understood(command, monkeypatch, capsys):
    """Every flag is read; then the function is called, which is where this test ends."""

    def understood(*args, **kwargs):
        raise Understood

    words = shlex.split(command, comments=True)
    if words[0] in VERBS:
        name = {"import": "import_weights", "data": f"{words[1]}_data"}.get(words[0], words[0]) if len(words) > 1 else words[0]
        monkeypatch.setattr(api, "choose_recipe", lambda data, device, resolution: Choice("dcgan", "small", ("", "")))
        monkeypatch.setattr(api, "foresee" if "--dry-run" in words else name, understood, raising=words[:2] != ["data", "list"])
    try:
        code = main(words)
    finally:
        said = capsys.readouterr().err
    assert code == 0 or "Understood" in said, said
