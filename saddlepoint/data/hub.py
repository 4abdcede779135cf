"""Data sets of the Hugging Face hub: hf:OWNER/NAME, hf:OWNER/NAME/CONFIG, either with @REVISION behind it.

The Parquet files of the repository are read, or, where it keeps its data in another form, those that the hub makes of it. What was fetched once is
used without a network. No code of a repository is run.
"""

from __future__ import annotations

import re
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
    named = PLACE.fullmatch(place)
    if named is None:
        raise UsageError(f"Data of the hub are written hf:OWNER/NAME, hf:OWNER/NAME/CONFIG or hf:OWNER/NAME@REVISION; hf:{place} came.")
    repository, config, revision = named["repository"], named["config"], named["revision"]
    for each in [revision] if revision else [None, CONVERTED]:
        root = _fetch(repository, each)
        tables = sorted(root.rglob("*.parquet"))
        if tables:
            return open_tables(root, _of_config(root, tables, config, repository), request)
    raise DataError(f"hf:{place} has no Parquet files, and the hub has made none of it. Download it, and give the path of its folder.")


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


def _fetch(repository: str, revision: str | None) -> Path:
    """The folder with the Parquet files of a repository, in the hub's cache."""
    hub = _hub()
    try:
        return Path(hub.snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=["*.parquet"]))
    except (hub.errors.LocalEntryNotFoundError, hub.errors.OfflineModeIsEnabled):
        raise DataError(f"hf:{repository} was never fetched, and the hub cannot be reached. Go online once, or give the path of a copy.") from None
    except hub.errors.RevisionNotFoundError:
        if revision == CONVERTED:
            raise DataError(f"hf:{repository} has no Parquet files, and the hub has made none of it. Download it, and give its folder.") from None
        raise DataError(f"hf:{repository} has no revision {revision}. Leave it out for the newest.") from None
    except hub.errors.HfHubHTTPError as error:
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
