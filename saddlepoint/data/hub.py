"""Data sets of the Hugging Face hub: hf:OWNER/NAME, hf:OWNER/NAME/CONFIG, either with @REVISION behind it.

The Parquet files of the repository are read, or, where it keeps its data in another form, those that the hub makes of it. What was fetched once is
used without a network. No code of a repository is run.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.parquet import open_tables
from saddlepoint.data.registry import Request
from saddlepoint.errors import DataError, UsageError

CONVERTED = "refs/convert/parquet"  # where the hub puts its Parquet files of a set
PLACE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")


def open_hub(place: str, request: Request) -> ArrayDataset:
    """A data set of the hub, fetched into its cache.

    Args:
        place: what stands behind "hf:".
        request: what was asked.
    Raises:
        UsageError: if the place is not written so, huggingface-hub is not installed, or there are several configurations and none is named.
        DataError: if it cannot be fetched, or has no Parquet files.
    """
    repository, config, revision = _named(place)
    for each in [revision] if revision else [None, CONVERTED]:
        root = _fetch(repository, each)
        tables = sorted(root.rglob("*.parquet"))
        if tables:
            return open_tables(root, _of_config(root, tables, config, repository), request)
    raise _without(place)


def urls_of(place: str) -> list[str]:
    """The Parquet files of a set of the hub, to be streamed (:mod:`saddlepoint.data.streaming`) instead of fetched as a whole.

    Args:
        place: what stands behind "hf:".
    Raises:
        UsageError, DataError: as :func:`open_hub`.
    """
    repository, config, revision = _named(place)
    for each in [revision] if revision else [None, CONVERTED]:
        tables = [Path(name) for name in _files(repository, each) if name.endswith(".parquet")]
        if tables:
            at = f"@{each.replace('/', '%2F')}" if each else ""
            return [f"hf://datasets/{repository}{at}/{table}" for table in _of_config(Path(), sorted(tables), config, repository)]
    raise _without(place)


def configs_of(root: Path, tables: list[Path]) -> dict[str, list[Path]]:
    """Tables by configuration: the folder they lie in, where it is not that of all."""
    found: dict[str, list[Path]] = {}
    for table in tables:
        folders = table.relative_to(root).parts[:-1]
        found.setdefault(folders[0] if folders else "", []).append(table)
    return found


def _of_config(root: Path, tables: list[Path], config: str | None, repository: str) -> list[Path]:
    found = configs_of(root, tables)
    if config is None and len(found) == 1:
        return tables
    if config is None or config not in found:
        raise UsageError(f"hf:{repository} has the configurations {', '.join(sorted(found))}. Name one: hf:{repository}/{sorted(found)[0]}.")
    return found[config]


def _named(place: str) -> tuple[str, str | None, str | None]:
    """Repository, configuration and revision."""
    named = PLACE.fullmatch(place)
    if named is None:
        raise UsageError(f"Data of the hub are written hf:OWNER/NAME, hf:OWNER/NAME/CONFIG or hf:OWNER/NAME@REVISION; hf:{place} came.")
    return named["repository"], named["config"], named["revision"]


def _without(place: str) -> DataError:
    return DataError(f"hf:{place} has no Parquet files, and the hub has made none of it. Download it, and give the path of its folder.")


def _fetch(repository: str, revision: str | None) -> Path:
    """The folder with the Parquet files of a repository, in the hub's cache."""
    hub = _hub()
    with _answered(repository, revision):
        return Path(hub.snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=["*.parquet"]))


def _files(repository: str, revision: str | None) -> list[str]:
    """All files of a repository."""
    hub = _hub()
    with _answered(repository, revision):
        return [*hub.HfApi().list_repo_files(repository, repo_type="dataset", revision=revision)]


@contextlib.contextmanager
def _answered(repository: str, revision: str | None) -> Iterator[None]:
    """What the hub refuses, in one line."""
    errors = _hub().errors
    try:
        yield
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise DataError(f"hf:{repository} was never fetched, and the hub cannot be reached. Go online once, or give the path of a copy.") from None
    except errors.RevisionNotFoundError:
        if revision == CONVERTED:
            raise _without(repository) from None
        raise DataError(f"hf:{repository} has no revision {revision}. Leave it out for the newest.") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no answer")
        raise DataError(f"hf:{repository} cannot be fetched ({status}): it is not there, or not for everybody. Check its name, or log in.") from None
    except OSError as error:
        raise DataError(f"hf:{repository} cannot be fetched ({str(error).splitlines()[0][:120]}). Try again, or give the path of a copy.") from None


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise UsageError("Data of the hub need huggingface-hub, which is not installed: pip install 'saddlepoint[hub,tables]'.") from None
    return huggingface_hub
