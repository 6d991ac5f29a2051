"""Names of a package that are loaded on first use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def loader(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """What a package takes as its ``__getattr__`` (PEP 562).

    Parameters
    ----------
    package
        Its name, as ``__name__``.
    places
        Public name to the module of the package that defines it.
    """

    def load(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{places[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
