"""Published weights, fetched and made a model file, or kept for a detector."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from napari_past.errors import BadModel, PastError, UnknownModel
from napari_past.files import atomic_write, detector_weights, file_sha256, make_folder
from napari_past.model.download import Told, discard, download
from napari_past.model.folder import made_models_folder
from napari_past.model.zoo import bundled_models

_SHA256 = re.compile(r"[0-9a-f]{64}")
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Published:
    """Where weights are published."""

    repository: str
    file: str

    @property
    def page(self) -> str:
        """To tell a user."""
        return f"{self.repository} on Hugging Face"


PUBLISHED = {"past": Published("Boyoungc/PAST", "checkpoint-context300.pth")}
DETECTORS = {
    "instanseg": "https://github.com/instanseg/instanseg/releases/download/"
    "instanseg_models_v0.1.1/brightfield_nuclei.zip"
}
"""Detectors whose weights are published, and where: a .zip with one TorchScript file in it."""
_MOST_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Fetched:
    """What `fetch_model` left on the disk."""

    model: Path
    """The model file."""
    checkpoint: Path | None
    """What it was made from, which is no longer needed; None where nothing is left of it."""
    sha256: str
    """Of what was fetched."""


def fetch_model(
    name: str,
    source: str | None = None,
    sha256: str | None = None,
    mpp: float | None = None,
    told: Told = lambda have, total: None,
) -> Fetched:
    """Fetch published weights, check them, and make them a model file in the folder of models.

    Parameters
    ----------
    name
        One of `PUBLISHED`.
    source
        A file, or an ``http(s)://`` address; None for the hub, or a mirror named by
        ``HF_ENDPOINT``.
    sha256
        64 hex digits that the fetched file must have; None takes the hub's own, where it comes
        from there. An address needs them; a file that lies here may go without.
    mpp
        µm/px of the crops that the image tower reads; None as `convert_checkpoint` has it.
    told
        Called as a download from an address goes on, with its bytes; the hub's client has a line
        of its own.

    Raises
    ------
    UnknownModel
        Nothing of that name is published.
    BadModel
        The file is not the one that was meant, or no checkpoint that can be used.
    PastError
        It cannot be had from here, or nothing says what it must be.
    CannotWrite
    """
    if name not in PUBLISHED:
        if name in bundled_models():
            raise UnknownModel(f"{name} comes with the package: there is nothing to fetch.")
        raise UnknownModel(
            f"Nothing is known of where {name!r} is published; fetch one of "
            f"{', '.join([*PUBLISHED, *DETECTORS])}."
        )
    sha256 = _digits(sha256)
    if source is not None and source.startswith(_WEB):
        if sha256 is None:
            raise PastError(
                f"Nothing is fetched unchecked: give the SHA-256 that {source} must have with "
                "--sha256, or download it yourself and give it with --from FILE."
            )
        part = download(source, made_models_folder(), told)
        try:
            digest = _checked(part, sha256, source)
            made = _model_file(part, mpp, digest)
        except BadModel:
            discard(part)
            raise
        discard(part)
        return Fetched(made, None, digest)
    if source is not None:
        file = Path(source).expanduser()
        if not file.is_file():
            raise PastError(f"There is no file {source}; give the checkpoint's path or address.")
        digest = _checked(file, sha256, file.name)
    else:
        file = _from_hub(PUBLISHED[name])
        # The hub's cache names what it holds by its hash, where the disk has links.
        blob = file.resolve().name
        digest = _checked(file, sha256 or (blob if _SHA256.fullmatch(blob) else None), file.name)
    return Fetched(_model_file(file, mpp, digest), file, digest)


def fetch_detector(
    name: str,
    source: str | None = None,
    sha256: str | None = None,
    told: Told = lambda have, total: None,
) -> Fetched:
    """Fetch the published weights of a detector, check them, and keep them where it finds them.

    Parameters
    ----------
    name
        One of `DETECTORS`.
    source
        A file, or an ``http(s)://`` address: the published .zip, or the TorchScript file in it.
        None takes the address in `DETECTORS`.
    sha256
        64 hex digits that the fetched file must have. The authors publish none, so a download
        needs it from the user; a file that lies here may go without.

    Raises
    ------
    UnknownModel
        Nothing of that name is published.
    BadModel
        The file is not the one that was meant, or holds no weights.
    PastError
        It cannot be had from here, or nothing says what it must be.
    CannotWrite
    """
    if name not in DETECTORS:
        raise UnknownModel(
            f"Nothing is known of where {name!r} is published; fetch one of {', '.join(DETECTORS)}."
        )
    sha256 = _digits(sha256)
    place = source or DETECTORS[name]
    if not place.startswith(_WEB):
        file = Path(place).expanduser()
        if not file.is_file():
            raise PastError(f"There is no file {place}; give the weights' path or address.")
        digest = _checked(file, sha256, file.name)
        return Fetched(_kept_weights(file, name), None, digest)
    if sha256 is None:
        raise PastError(
            f"The weights of {name} are published without a SHA-256, and nothing is fetched "
            f"unchecked: download {place} yourself and give it with --from FILE, or give the "
            f"SHA-256 that it must have with --sha256."
        )
    part = download(place, made_models_folder(), told)
    try:
        digest = _checked(part, sha256, place)
        return Fetched(_kept_weights(part, name), None, digest)
    finally:
        discard(part)


def _digits(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    digits = sha256.lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digits):
        raise PastError(f"A SHA-256 has 64 hex digits, but got {sha256!r}; copy it again.")
    return digits


def _kept_weights(file: Path, name: str) -> Path:
    """A detector's weights in their place, taken out of the .zip that they come in."""
    target = detector_weights(name)
    make_folder(target.parent, f"The weights of {name} cannot be kept")
    try:
        with zipfile.ZipFile(file) as archive:
            inside = [info for info in archive.infolist() if info.filename.endswith(".pt")]
            is_weights = any("/code/" in info.filename for info in archive.infolist())
            if len(inside) > 1 or (not inside and not is_weights):
                raise BadModel(
                    f"{file.name} holds {len(inside) or 'no'} files of weights where one .pt was "
                    f"expected; give the published file."
                )
            if inside and inside[0].file_size > _MOST_BYTES:
                raise BadModel(f"The weights in {file.name} are over 2 GiB, which no detector has.")
            with (
                atomic_write(target) as unfinished,
                unfinished.open("wb") as out,
                archive.open(inside[0]) if inside else file.open("rb") as weights,
            ):
                shutil.copyfileobj(weights, out)
    except (zipfile.BadZipFile, EOFError) as exc:
        raise BadModel(
            f"{file.name} cannot be unpacked ({exc}); give the published .zip, or the .pt in it."
        ) from exc
    return target


def _model_file(checkpoint: Path, mpp: float | None, digest: str) -> Path:
    # Here, because torch takes seconds to load: what cannot be had is told without it.
    from napari_past.model.checkpoint import convert_checkpoint

    return convert_checkpoint(checkpoint, mpp, digest)


def _checked(file: Path, sha256: str | None, name: str) -> str:
    """The file's SHA-256, if it is the one that was expected."""
    digest = file_sha256(file)
    if sha256 is not None and digest != sha256:
        raise BadModel(
            f"{name} has the SHA-256 {digest}, but {sha256} was expected; fetch it again, or check "
            f"where it comes from."
        )
    return digest


def _from_hub(published: Published) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(hf_hub_download(published.repository, published.file))
    except GatedRepoError as exc:
        raise PastError(
            f"{published.page} is given to those alone who accepted its licence: do so on its "
            f"page, run `hf auth login` here, and fetch again."
        ) from exc
    except LocalEntryNotFoundError as exc:
        raise _offline(published) from exc
    except (RepositoryNotFoundError, EntryNotFoundError) as exc:
        raise PastError(
            f"{_hub()} does not have {published.file} of {published.repository} (any more); get "
            f"the file from its authors and give it with --from FILE."
        ) from exc
    except HfHubHTTPError as exc:
        first = (str(exc).strip().splitlines() or ["no reason given"])[0]
        raise PastError(
            f"{_hub()} did not give {published.file} ({first.rstrip('. ')}); try again later: the "
            f"download goes on where it broke off."
        ) from exc
    # Without a network the hub's client lets the errors of its HTTP library through, whichever
    # that is: all that is left here means that there was no answer.
    except Exception as exc:
        raise _offline(published) from exc


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT") or "The hub"


def _offline(published: Published) -> PastError:
    return PastError(
        f"{_hub()} cannot be reached from here: download {published.file} of {published.page} on a "
        f"machine with a network, copy it here and give it with --from FILE (or name a mirror in "
        f"HF_ENDPOINT)."
    )
