"""``saddlepoint VERB ...``: finds the verb, and turns every error into one line and an exit code.

Exit codes are those of :mod:`saddlepoint.errors`; 141 when the reader of a pipe went away.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence

from saddlepoint import __version__
from saddlepoint.errors import SaddlepointError, StoppedError, StorageError, UsageError, nearest

VERBS = {
    "train": "train a recipe on data; leaves a run folder",
    "resume": "go on with a run as if it had never stopped",
    "sample": "draw samples from a run into pictures or an array",
    "encode": "codes of images from a run with an encoder",
    "translate": "images made of other images, of any size",
    "inpaint": "holes in images, filled",
    "reconstruct": "images made again from their codes",
    "list": "the recipes, their papers and presets; the data that is at hand",
    "data": "check and convert data; the sets that are at hand",
    "evaluate": "measure a run or any samples, with floor, error and protocol",
    "compare": "put evaluated runs beside one another",
    "import": "make a run from a checkpoint of another code",
    "export": "write a run's generator for other programs",
    "report": "make one page for a browser from a run",
    "study": "ask people: real or fake, or which is better",
    "bench": "time whole rounds of a recipe",
    "demo": "train on the shipped images and show the report",
    "info": "a run, or this installation: versions and devices",
}

REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; None means the process's own.
    Returns:
        The exit code.
    """
    try:
        with _said_once():
            code = dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except SaddlepointError as error:
        return _refuse(error)
    except SystemExit as request:  # --help
        return request.code if isinstance(request.code, int) else int(request.code is not None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more at its end
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        _say("stopped.")
        return 128 + signal.SIGINT
    except OSError as error:
        if error.errno not in REFUSALS:
            return _defect()
        return _refuse(StorageError(f"The system refused {error.filename or 'a file'}: {error.strerror}. Choose a place that can be written."))
    except Exception:
        return _defect()


@contextlib.contextmanager
def _said_once() -> Iterator[None]:
    """While inside, a note about the data is written once, however often they are opened."""
    said: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        seen = message in said
        said.add(message)
        return not seen

    log = logging.getLogger("saddlepoint")
    log.addFilter(new)
    try:
        yield
    finally:
        log.removeFilter(new)


def _defect() -> int:
    """Show where an error that nobody foresaw is."""
    traceback.print_exc()
    _say("error: this is a defect of saddlepoint; please report it with the lines above.")
    return 1


def dispatch(argv: list[str]) -> int:
    """Run the verb that ``argv`` begins with.

    Raises:
        UsageError: for an unknown verb, with the nearest ones.
    """
    if argv[:1] in (["-h"], ["--help"], ["help"]):
        sys.stdout.write(usage())
        return 0
    if argv[:1] == ["--version"]:
        sys.stdout.write(f"saddlepoint {__version__}\n")
        return 0
    if not argv:
        sys.stderr.write(usage())
        return UsageError.exit_code
    verb, *rest = argv
    if verb not in VERBS:
        raise UsageError(f"There is no verb {verb!r}. {nearest(verb, VERBS)} `saddlepoint --help` shows all.")
    run = importlib.import_module(f"saddlepoint.cli.{verb}").run
    return int(run(rest) or 0)


def usage() -> str:
    """The text of ``saddlepoint --help``."""
    verbs = "\n".join(f"  {verb:<12}{what}" for verb, what in VERBS.items())
    return (
        "usage: saddlepoint VERB ...\n\n"
        "Train, measure and understand generative adversarial networks.\n\n"
        f"{verbs}\n\n"
        "  saddlepoint VERB --help           the flags of a verb\n"
        "  saddlepoint train RECIPE --help   every setting of a recipe\n"
        "  saddlepoint --version\n"
    )


def _refuse(error: SaddlepointError) -> int:
    """Print an error as one line; of several processes that end with the same one, the first speaks."""
    rank = os.environ.get("RANK", "0")
    if rank == "0" or not error.shared:
        what = "" if isinstance(error, StoppedError) else "error: "
        _say(what + " ".join(str(error).split()) + ("" if rank == "0" else f" (process {rank})"))
    return error.exit_code


def _say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"saddlepoint: {line}\n")
        sys.stderr.flush()
