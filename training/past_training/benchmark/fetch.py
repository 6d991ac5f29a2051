"""Tasks of the HEST-Benchmark, downloaded from the hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

from napari_past.errors import CannotWrite, PastError

HUB = "https://huggingface.co"


def fetch_tasks(
    folder: Path, tasks: Sequence[str], repository: str, endpoint: str | None = None
) -> str:
    """Download tasks into their folders below `folder`; returns the commit that they are of.

    What is there already and complete is not fetched again.

    Parameters
    ----------
    repository
        A dataset of the hub.
    endpoint
        Of the hub; None for ``HF_ENDPOINT``, else the hub itself.

    Raises
    ------
    PastError
        The hub cannot be reached, or does not give it.
    CannotWrite
    """
    hub = endpoint or os.environ.get("HF_ENDPOINT") or HUB
    page = f"{hub}/datasets/{repository}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Asked first: without an answer the client would take what lies there for the whole.
        commit = HfApi(endpoint=endpoint).dataset_info(repository).sha
        snapshot_download(
            repository, repo_type="dataset", revision=commit, local_dir=folder,
            allow_patterns=[f"{task}/*" for task in tasks], endpoint=endpoint,
        )  # fmt: skip
    except GatedRepoError as exc:
        raise PastError(
            f"{repository} is given to those alone who accepted its terms: do so on {page} with "
            f"your account, then run 'hf auth login' here and start again."
        ) from exc
    except RepositoryNotFoundError as exc:
        raise PastError(
            f"{hub} shows no dataset {repository} to you: accept its terms on {page} and run "
            f"'hf auth login' here, or check data.repository of the recipe."
        ) from exc
    except HfHubHTTPError as exc:
        reason = (str(exc).strip().splitlines() or ["no reason given"])[0].rstrip(". ")
        raise PastError(
            f"{hub} did not give {repository} ({reason}); try again later, since what was "
            f"fetched is kept."
        ) from exc
    except OSError as exc:
        # Those of a connection are of this kind, too.
        if exc.filename is None:
            raise _offline(hub, page, folder) from exc
        raise CannotWrite(
            f"{exc.filename} cannot be written ({exc.strerror}); free some space, or give another "
            f"--data."
        ) from exc
    # Without a network the hub's client lets the errors of its HTTP library through, whichever
    # that is: all that is left here means that there was no answer.
    except Exception as exc:
        raise _offline(hub, page, folder) from exc
    return str(commit)


def _offline(hub: str, page: str, folder: Path) -> PastError:
    return PastError(
        f"{hub} cannot be reached from here: download the tasks of {page} on a machine with a "
        f"network, and copy their folders to {folder}."
    )
