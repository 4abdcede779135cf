"""The front door: verbs, exit codes, one line an error, no tensor library for the help."""

from __future__ import annotations

import ast
import dataclasses
import errno
import importlib.util
import inspect
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import saddlepoint
from saddlepoint.cli import main as front
from saddlepoint.cli.main import VERBS, main
from saddlepoint.errors import DataError, SaddlepointError, StoppedError


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in VERBS)


def test_every_verb_has_a_file_and_a_function():
    for verb in VERBS:
        assert importlib.util.find_spec(f"saddlepoint.cli.{verb}"), verb
    others = {"__version__", "foresee", "import_weights", "check_data", "convert_data", "get_data"}  # train --dry-run; import; data ...
    assert set(saddlepoint.__all__) - others <= set(VERBS)


@pytest.mark.parametrize(
    ("verb", "flags", "no_flags"),
    [
        ("train", "TrainFlags", {"recipe", "config", "plan", "show", "settings"}),
        ("resume", "ResumeFlags", {"show"}),
        ("sample", "SampleFlags", set()),
        ("evaluate", "EvaluateFlags", {"show"}),
        ("report", "ReportFlags", set()),
        ("demo", "DemoFlags", {"show"}),
    ],
)
def test_a_verb_and_its_function_take_the_same(verb, flags, no_flags):
    function = inspect.signature(getattr(saddlepoint, verb)).parameters
    fields = {field.name: field for field in dataclasses.fields(getattr(importlib.import_module(f"saddlepoint.cli.{verb}"), flags))}
    assert set(fields) - {"processes", "json", "dry_run"} == set(function) - no_flags
    for name in set(fields) & set(function) - {"out"}:
        default = fields[name].default
        assert default == function[name].default or default is dataclasses.MISSING is not function[name].default


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"saddlepoint {saddlepoint.__version__}\n"


def test_no_verb_is_wrong_usage(capsys):
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: saddlepoint VERB")


def test_an_unknown_verb_is_refused_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert (
        capsys.readouterr().err == "saddlepoint: error: There is no verb 'trian'. Nearest: train, translate, info. `saddlepoint --help` shows all.\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("no images\n  in here"), 3, "saddlepoint: error: no images in here\n"),
        (StoppedError("saved.", 130), 130, "saddlepoint: saved.\n"),
        (KeyboardInterrupt(), 130, "saddlepoint: stopped.\n"),
        (
            OSError(errno.EROFS, "Read-only file system", "x.png"),
            5,
            "saddlepoint: error: The system refused x.png: Read-only file system. Choose a place that can be written.\n",
        ),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(monkeypatch, capsys, error, code, line):
    def fail(argv):
        raise error

    monkeypatch.setattr(front, "dispatch", fail)
    assert main([]) == code
    assert capsys.readouterr().err == line


def test_a_defect_shows_where_it_is(monkeypatch, capsys):
    monkeypatch.setattr(front, "dispatch", lambda argv: 1 / 0)
    assert main([]) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "please report it" in shown


def test_help_starts_in_under_a_second_without_torch():
    code = "import sys; from saddlepoint.cli.main import main; main(['--help']); sys.stderr.write(repr(sorted(sys.modules)))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not {"torch", "numpy", "tyro"} & set(ast.literal_eval(result.stderr))
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1  # its own seconds: other work on the machine does not count


def test_a_broken_pipe_is_quiet():
    program = "import time; time.sleep(0.3); from saddlepoint.cli.main import main; raise SystemExit(main(['--help']))"
    script = f'"{sys.executable}" -c "{program}" | true; echo ${{PIPESTATUS[0]}}'
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("141\n", "")


def test_the_page_names_every_verb_and_exit_code():
    page = (Path(saddlepoint.__file__).parents[1] / "docs" / "commands.md").read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
    assert codes == {error.exit_code for error in [*SaddlepointError.__subclasses__(), SaddlepointError] if error is not StoppedError} | {
        0,
        130,
        141,
        143,
    }
    assert set(VERBS) <= set(re.findall(r"^\| `(\w+)", page, re.M))
