"""What is typed is the number that is meant, whichever sign parts its decimals."""

import pytest
from qtpy.QtCore import QLocale

from napari_past.plugin.decimal_box import DecimalBox

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("language", [QLocale.Language.C, QLocale.Language.German])
@pytest.mark.parametrize(
    ("typed", "value"), [("0.25", 0.25), ("0,25", 0.25), ("1", 1.0), ("0,,5", 0.5), (",5", 0.5)]
)
def test_point_and_comma_are_one(qtbot, language, typed, value) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(language))
    try:
        box = DecimalBox()
        qtbot.addWidget(box)
        box.setDecimals(4)
        box.selectAll()
        qtbot.keyClicks(box, typed)
        assert box.value() == value
    finally:
        QLocale.setDefault(before)
