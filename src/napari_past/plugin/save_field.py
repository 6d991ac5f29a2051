"""A file to be written: typed, or chosen in a dialog that asks before it overwrites."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_past.errors import CannotWrite
from napari_past.files import check_writable
from napari_past.plugin.path_field import ChosenPath


class SaveField(ChosenPath):
    """Knows whether the user agreed to overwrite what is there."""

    def __init__(self, title: str, pattern: str) -> None:
        super().__init__(title, pattern)
        self._agreed: Path | None = None
        """That the system's dialog has asked about, or that we wrote ourselves."""
        self.choose.clicked.connect(self._on_choose)

    def set_text(self, text: str) -> None:
        """Propose a path; nobody agreed to overwrite it."""
        self._agreed = None
        self.edit.setText(text)

    def target(self) -> Path:
        """Where to write.

        Raises
        ------
        CannotWrite
            No name; a file is there that nobody agreed to overwrite; the folder is missing or
            read-only.
        """
        if not self.text:
            raise CannotWrite("No file is named; type a name, or press Choose….")
        path = Path(self.text).expanduser()
        check_writable(path)
        if path.exists() and path != self._agreed:
            raise CannotWrite(
                f"{path} is there already and stays as it is; give another name, or press Choose… "
                "to replace it."
            )
        return path

    def written(self, path: Path) -> None:
        """A file was written by us and may be written again; no other one may."""
        self._agreed = path

    def _on_choose(self) -> None:
        path, kind = QFileDialog.getSaveFileName(self, self._title, self.text, self._pattern)
        if path:
            # Qt asks about the name as it was typed, without the suffix that is added here.
            asked = bool(Path(path).suffix)
            self.edit.setText(path if asked else path + kind.partition("*")[2].rstrip(")"))
            self._agreed = Path(path) if asked else None
