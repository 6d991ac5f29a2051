"""Whole lines of what another process writes."""

import codecs


class LineBuffer:
    r"""Puts chunks of bytes together to lines: a pipe ends its chunks anywhere.

    A line ends with ``\n``, or with the ``\r`` that a bar of progress writes.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def lines(self, chunk: bytes) -> list[str]:
        """The lines that this chunk ends, without their ends."""
        text = self._begun + self._decoder.decode(chunk)
        ended = max(text.rfind("\n"), text.rfind("\r")) + 1
        self._begun = text[ended:]
        return text[:ended].splitlines()

    def rest(self) -> list[str]:
        """What was begun and never ended; the process writes no more."""
        text = self._begun + self._decoder.decode(b"", final=True)
        self._begun = ""
        return text.splitlines()
