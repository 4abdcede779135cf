"""``saddlepoint study new|serve|report``: studies with people, from the pictures to what the answers say."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from saddlepoint.cli.parsing import parse
from saddlepoint.errors import UsageError, nearest

USAGE = """usage: saddlepoint study new KIND ... | serve STUDY | report STUDY

Ask people: is it real or generated, or which is better.

  saddlepoint study new real-or-fake --real DATA --fake RUN --out STUDY
  saddlepoint study new ranking --arms RUN RUN --out STUDY
  saddlepoint study serve STUDY      its page, on this machine
  saddlepoint study report STUDY     what the answers say so far

  saddlepoint study new KIND --help   every setting
"""


@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """What both kinds of study can be told.

    Attributes:
        out: the study folder; must not hold anything.
        trials: a rater's questions that count.
        practice: questions before them that do not.
        attention: checks among them that ask for a certain answer.
        attention_needed: right ones that a rater needs to be counted.
        display_ms: how long pictures are shown, followed by masks; None: until the answer.
        num: pictures an arm at most.
        resolution: side of all pictures; None means that of the last arm.
        title: of the page.
        question: above the pictures; None means the usual one.
        consent: text file of what a rater agrees to; None means a plain one.
        seed: of samples, choices and orders.
        data_root: folder of downloaded data sets.
    """

    out: Path
    trials: int = 100
    practice: int = 10
    attention: int = 6
    attention_needed: int = 5
    display_ms: int | None = None
    num: int = 500
    resolution: int | None = None
    title: str = "A study of pictures"
    question: str | None = None
    consent: Path | None = None
    seed: int = 0
    data_root: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RealOrFakeFlags(CommonFlags):
    """Make a study that asks whether pictures are real: one at a time, or for the real one of two.

    Attributes:
        real: real pictures: a name of data, a folder, an array.
        fake: generated pictures: run folders, folders, arrays; NAME=SOURCE names an arm.
        layout: "one" picture at a time, or a "pair" of a real and a generated one.
        staircase: the time adapts to the rater (HYPE-time, in blocks of 150 trials).
        feedback: the right answer is told after every trial: raters learn.
    """

    real: str
    fake: list[str]
    layout: Literal["one", "pair"] = "one"
    staircase: bool = False
    feedback: bool = False


@dataclass(frozen=True, kw_only=True)
class RankingFlags(CommonFlags):
    """Make a study that asks which pictures are better: of a pair, of all arms, or all arms in order.

    Attributes:
        arms: run folders, folders, arrays or names of data; NAME=SOURCE names an arm.
        layout: "pair", "best" or "order".
        matched: the i-th pictures of all arms belong together and are shown together.
        prompts: text file with one line for each matched item, shown above it.
        ties: pairs may be called equal.
    """

    arms: list[str]
    layout: Literal["pair", "best", "order"] = "pair"
    matched: bool = False
    prompts: Path | None = None
    ties: bool = False


@dataclass(frozen=True, kw_only=True)
class ServeFlags:
    """Show a study's page until it is stopped by Ctrl-C; every answer is on the disk at once.

    Attributes:
        study: the study folder.
        host: address to listen at; the default is reached from this machine alone.
        port: to listen at.
    """

    study: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY")]
    host: str = "127.0.0.1"
    port: int = 7860


@dataclass(frozen=True, kw_only=True)
class StudyReportFlags:
    """Write report.html, report.json and answers.csv into a study folder, and say what the answers say so far.

    Attributes:
        study: the study folder.
        json: print JSON.
    """

    study: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY")]
    json: bool = False


def run(argv: list[str]) -> int:
    """Make, serve or report on a study."""
    action, rest = (argv[0], argv[1:]) if argv else ("", [])
    actions = {"new": new, "serve": serve, "report": report}
    if action in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if action not in actions:
        raise UsageError(f"`saddlepoint study` needs one of {', '.join(actions)}; {action or 'nothing'} came. See `saddlepoint study --help`.")
    return actions[action](rest)


def new(argv: list[str]) -> int:
    """Make a study; prints its folder."""
    kinds: dict[str, type[CommonFlags]] = {"real-or-fake": RealOrFakeFlags, "ranking": RankingFlags}
    kind, rest = (argv[0], argv[1:]) if argv else ("", [])
    if kind in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if kind not in kinds:
        raise UsageError(f"`saddlepoint study new` needs a kind of study; {kind or 'nothing'} came. {nearest(kind, kinds)}")
    given = parse(kinds[kind], rest, prog=f"saddlepoint study new {kind}")

    from saddlepoint import api

    settings: dict[str, Any] = {"kind": kind} | {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    folder = settings.pop("out")
    settings["arms"] = settings.pop("fake", None) or settings.get("arms", [])
    settings["question"] = settings["question"] or ""
    for name in ("consent", "prompts"):
        path = settings.pop(name, None)
        if path is not None:
            text = _read(path, name)
            settings[name] = text if name == "consent" else tuple(text.splitlines())
    made = api.study(folder, **settings)
    print(f"{made.folder}: {', '.join(f'{arm.name} ({len(arm.images)})' for arm in made.arms)}")
    print(f"show it: saddlepoint study serve {made.folder}")
    return 0


def serve(argv: list[str]) -> int:
    """Serve a study; prints the address of its page."""
    given = parse(ServeFlags, argv, prog="saddlepoint study serve")

    from saddlepoint import api

    def say(address: str) -> None:
        print(f"{address}  (?rater=CODE in the address sets a rater's code; Ctrl-C stops)", flush=True)

    api.study(given.study).serve(host=given.host, port=given.port, say=say)
    return 0


def report(argv: list[str]) -> int:
    """Report on a study; in words or as JSON."""
    given = parse(StudyReportFlags, argv, prog="saddlepoint study report")

    from saddlepoint import api

    found = api.study(given.study).report()
    if given.json:
        print(json.dumps(found, indent=2))
        return 0

    from saddlepoint.human.report import sentences

    print("\n".join([*sentences(found), found["report"]]))
    return 0


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The text of --{what} cannot be read from {path}: {error}. Give a text file in UTF-8.") from error
