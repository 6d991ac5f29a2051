"""Names that others give to what is not scored, as kinds."""

from __future__ import annotations

import re

_WORDS = (
    ("bubble", ("bubble", "air", "coverslip", "edge")),
    ("pen", ("pen", "ink", "marker", "marking")),
    ("fold", ("fold", "folded", "wrinkle")),
    ("blur", ("blur", "blurry", "blurred", "oof", "focus", "defocus")),
    ("glass", ("glass", "background", "empty", "hole", "tear")),
)
"""The first kind one of whose words is in a name wins; a plural counts as its singular."""

_SCORED = ("tumor", "tumour", "tissue", "normal tissue", "include", "stroma")


def kind_named(name: str | None) -> str | None:
    """The kind that a class name of QuPath or GrandQC means; "other" for names that are not known.

    None for the few names that say that a place *is* to be scored, such as Tumor or Tissue: files
    of annotations hold both.

    >>> kind_named("Edge & Air Bubble"), kind_named("OutOfFocus"), kind_named("Ignore*")
    ('bubble', 'blur', 'other')
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name or "")
    folded = [word.casefold() for word in words]
    if " ".join(folded) in _SCORED:
        return None
    singular = {word.removesuffix("s") for word in folded} | set(folded)
    return next((kind for kind, known in _WORDS if singular & set(known)), "other")
