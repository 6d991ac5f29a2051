"""The case code that the user types, so that a report is not laid to another case."""

from __future__ import annotations

from napari_past.errors import PastError

NO_CASE_CODE = "no case code given"
MOST_LETTERS = 32
"""More do not fit beside the fingerprint in large letters."""


def checked_case_code(text: str) -> str:
    """`text` without the blanks around it; empty where none was given.

    Raises
    ------
    PastError
        Longer than `MOST_LETTERS`, or with letters that are not printed.
    """
    code = text.strip()
    if len(code) > MOST_LETTERS:
        raise PastError(
            f"The case code has {len(code)} letters, but {MOST_LETTERS} fit on the page; give a "
            "shorter one."
        )
    if not code.isprintable():
        raise PastError(f"The case code {code!r} holds letters that are not printed; type it anew.")
    return code
