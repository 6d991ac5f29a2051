"""What is read from files as it stands there: unknown fields are mistakes, the first is told."""

from __future__ import annotations

import pydantic


class Strict(pydantic.BaseModel):
    """A value of files: it cannot be changed, and has no field but its own."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )


def first_mistake(exc: pydantic.ValidationError, whole: str) -> str:
    """The first field that is wrong, and why, as "'encoder.mpp' (Field required)".

    Parameters
    ----------
    whole
        Names the value where no single field is wrong.
    """
    first = exc.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    return f"{field!r} ({first['msg']})"
