"""Every mistake that a user can meet, as one tree.

A message is one sentence that says what arrived, what was expected and what to do next; the command
line prints it to stderr and exits with 2, the widget shows it in a notification.

    PastError
    ├── SlideError
    │   ├── NotASlide            the file is no image that we read
    │   ├── UnsupportedPixels    16-bit, one channel, alpha …
    │   ├── DamagedSlide         truncated or unreadable data
    │   ├── SlideUnreachable     its disk or server does not answer for now
    │   ├── SlideChanged         another file has taken its place since it was opened
    │   └── MissingPixelSize     no µm/px in the file and none given
    ├── RegionError              a region outside the slide, empty, or malformed
    ├── GeneError
    │   ├── UnknownGene          the name or the model does not know it
    │   ├── AmbiguousGene        a name that means several genes
    │   └── NotScorable          a marker that gene expression cannot score
    ├── ModelError
    │   ├── UnknownModel         no such bundled model or file
    │   └── BadModel             a file that is damaged or whose card does not fit
    ├── UnknownDetector
    ├── MissingCutoffs           no cut-offs given, in the file or in the card
    ├── BadTable                 a cell table or region file that cannot be read as one
    ├── CannotWrite              folder missing or read-only, disk full
    ├── MissingExtra             an optional dependency is not installed
    ├── WorkerFailed             the process that analyses tiles was lost, or out of memory
    └── Cancelled                the user stopped the work; what was finished is kept
"""

from __future__ import annotations

_MOST_LETTERS = 1000
"""Of a sentence: what a damaged file holds may be quoted in it."""


class PastError(Exception):
    """Base of all errors that are told to the user in one sentence."""

    def __str__(self) -> str:
        # Libraries whose reasons are quoted break lines, and quote all of a field of a megabyte.
        line = " ".join(super().__str__().split())
        if len(line) <= _MOST_LETTERS:
            return line
        return f"{line[: _MOST_LETTERS // 2]} … {line[-_MOST_LETTERS // 2 :]}"


class SlideError(PastError):
    """Something about the slide file."""


class NotASlide(SlideError):
    """The file or folder is not an image format that can be opened as a slide."""


class UnsupportedPixels(SlideError):
    """The image is not 8-bit RGB."""


class DamagedSlide(SlideError):
    """The slide's data are truncated or cannot be decoded."""


class SlideUnreachable(SlideError):
    """The slide's disk or server does not answer for now; trying again later may help."""


class SlideChanged(SlideError):
    """Another file has taken the slide's place since it was opened."""


class MissingPixelSize(SlideError):
    """The slide carries no µm/px and none was given."""


class RegionError(PastError):
    """A region is malformed, empty, or lies outside the slide."""


class GeneError(PastError):
    """Something about a gene or marker name."""


class UnknownGene(GeneError):
    """No gene or marker of that name, or the model does not have it."""


class AmbiguousGene(GeneError):
    """The name stands for several genes; the message lists them."""


class NotScorable(GeneError):
    """The marker cannot be scored from gene expression; the message says why."""


class ModelError(PastError):
    """Something about a model file."""


class UnknownModel(ModelError):
    """Neither a bundled model's name nor an existing file."""


class BadModel(ModelError):
    """The model file is damaged, has no card, or its card and weights disagree."""


class UnknownDetector(PastError):
    """No detector of that name is registered."""


class MissingCutoffs(PastError):
    """Classes were asked for but no cut-offs are known."""


class BadTable(PastError):
    """A table or region file is not what it should be."""


class CannotWrite(PastError):
    """The destination cannot be written."""


class MissingExtra(PastError):
    """An optional dependency is needed; the message names the extra to install."""


class WorkerFailed(PastError):
    """The process that analyses tiles was lost or ran out of memory."""


class Cancelled(PastError):
    """The user cancelled; finished tiles stay in the store."""
