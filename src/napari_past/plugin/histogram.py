"""A histogram with the three cut-offs as lines that are dragged or moved by keys."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_past.plugin.value_bins import BINS, ValueBins
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES
from napari_past.types import Cutoffs

TAB_PX, TAB_HEIGHT_PX = 26, 15
"""Of the tab above each line, by which it is easily caught."""
_SIDE_PX = 14
_SLANT_PX = 6
_PLOT_PX = 78
_STRIP_PX = 3
_REACH_PX = 6
"""A line is caught from so far."""
_FAST = 10
_BAR_ALPHA = 190
_LEAST_BAR_PX = 2.0
"""Of a bar with a cell: on real stain most cells are in the first bins, and few matter beyond."""
_DARK = QColor(25, 25, 28)


@dataclass(frozen=True)
class _Hold:
    """A line that the user holds."""

    line: int
    off_px: float
    """From the line to the pointer when it was caught."""
    by_key: bool


class Histogram(QWidget):
    """Paints itself in the palette's text colour; empty until bins and cut-offs are set.

    Tab goes from line to line, the arrow keys move one, with Shift by ten steps.
    """

    moved = Signal(int, float)
    """Line 0, 1 or 2 is to lie at a value; it may be stopped by others."""
    released = Signal()
    """A line that was moved was let go."""
    reset_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._bins: ValueBins | None = None
        self._cutoffs: Cutoffs | None = None
        self._fixed = False
        self._title = ""
        self._line = 0
        """The one that keys move."""
        self._hold: _Hold | None = None
        self._touched = False
        """Whether the line that is held was moved."""
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Cut-offs on the histogram")

    @property
    def held(self) -> bool:
        """Whether a line is being moved."""
        return self._hold is not None

    @property
    def bins(self) -> ValueBins | None:
        return self._bins

    def set_bins(self, bins: ValueBins | None, title: str) -> None:
        """Show other cells.

        Parameters
        ----------
        title
            What the values are, with their unit and where they come from.
        """
        self._bins, self._title = bins, title
        self.setToolTip("" if bins is None else f"{title}. {bins.beyond}".strip())
        self.update()

    def set_cutoffs(self, cutoffs: Cutoffs | None) -> None:
        """Lines at these values; without, no line."""
        if cutoffs != self._cutoffs:
            self._cutoffs = cutoffs
            self.setAccessibleDescription(self.text())
            self.update()

    def set_fixed(self, fixed: bool) -> None:
        """Whether the lines stay where they are, whatever hand or key does."""
        self._fixed = fixed

    def let_go(self) -> None:
        """Forget the line that is held: other values take its place."""
        self._hold, self._touched = None, False

    def text(self) -> str:
        """What the lines say, in words; the one that keys move first."""
        if self._cutoffs is None:
            return ""
        told = [
            f"{name} from {value:.4g}"
            for name, value in zip(CLASS_NAMES[1:], self._cutoffs.values, strict=True)
        ]
        return ", ".join([told[self._line], *(t for k, t in enumerate(told) if k != self._line)])

    def sizeHint(self) -> QSize:
        line = QFontMetrics(self.font()).height()
        top = TAB_HEIGHT_PX + _SLANT_PX
        return QSize(200, top + _PLOT_PX + _STRIP_PX + 3 + 2 * line + 2)

    # ---- where things are --------------------------------------------------------------------

    @property
    def _plot(self) -> QRectF:
        width = max(self.width() - 2 * _SIDE_PX, 1)
        return QRectF(_SIDE_PX, TAB_HEIGHT_PX + _SLANT_PX, width, _PLOT_PX)

    @property
    def _small(self) -> QFont:
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font

    def line_px(self, line: int) -> float:
        """x of a line in this widget; of one beyond the axis that of the nearer end."""
        assert self._bins is not None
        assert self._cutoffs is not None
        share = self._bins.axis.share(self._cutoffs.values[line])
        return float(self._plot.left() + share * self._plot.width())

    def tab_px(self) -> list[float]:
        """x of the middle of each line's tab: above the line, and beside the other tabs."""
        middles = [self.line_px(k) for k in range(3)]
        for k in (1, 2):
            middles[k] = max(middles[k], middles[k - 1] + TAB_PX + 1)
        middles[2] = min(middles[2], self.width() - TAB_PX / 2 - 1)
        for k in (1, 0):
            middles[k] = min(middles[k], middles[k + 1] - TAB_PX - 1)
        return middles

    def line_at(self, x: float, y: float) -> int | None:
        """Which line is caught from a place in this widget; None where none is near, or all are
        fixed."""
        if self._bins is None or self._cutoffs is None or self._fixed:
            return None
        if y < TAB_HEIGHT_PX + _SLANT_PX / 2:
            on_tab = [k for k, at in enumerate(self.tab_px()) if abs(x - at) <= TAB_PX / 2 + 1]
            return on_tab[0] if on_tab else None
        if y > self._plot.bottom() + _STRIP_PX:
            return None
        away = [abs(x - self.line_px(k)) for k in range(3)]
        near = [k for k in range(3) if away[k] <= min(*away, _REACH_PX) + 0.5]
        if not near:
            return None
        # Of lines at one place, the one that can go to where the pointer is.
        return near[-1] if x >= self.line_px(near[0]) else near[0]

    # ---- mouse and keys ----------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        line = self.line_at(place.x(), place.y())
        if line is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._hold = _Hold(line, place.x() - self.line_px(line), by_key=False)
        self._turn_to(line)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        hold = self._hold
        if hold is None or hold.by_key or self._bins is None:
            near = self.line_at(place.x(), place.y()) is not None
            self.setCursor(Qt.CursorShape.SizeHorCursor if near else Qt.CursorShape.ArrowCursor)
            return
        share = (place.x() - hold.off_px - self._plot.left()) / self._plot.width()
        self._move(hold.line, self._bins.axis.value(min(max(share, 0.0), 1.0)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._release()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._cutoffs is not None:
            self.let_go()
            self.reset_asked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        way = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if way is None or self._cutoffs is None or self._bins is None or self._fixed:
            super().keyPressEvent(event)
            return
        fast = _FAST if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        if self._hold is None:
            self._hold = _Hold(self._line, 0.0, by_key=True)
        step = way * fast * self._bins.axis.step
        self._move(self._line, self._cutoffs.values[self._line] + step)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if self._hold is None or not self._hold.by_key:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            self._release()

    def focusInEvent(self, event: QFocusEvent) -> None:
        if event.reason() == Qt.FocusReason.TabFocusReason:
            self._turn_to(0)
        elif event.reason() == Qt.FocusReason.BacktabFocusReason:
            self._turn_to(2)
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._release()
        super().focusOutEvent(event)
        self.update()

    def focusNextPrevChild(self, forwards: bool) -> bool:
        line = self._line + (1 if forwards else -1)
        if self._cutoffs is not None and not self._fixed and 0 <= line < 3:
            self._release()
            self._turn_to(line)
            return True
        return bool(super().focusNextPrevChild(forwards))

    def _turn_to(self, line: int) -> None:
        self._line = line
        self.setAccessibleDescription(self.text())
        self.update()

    def _move(self, line: int, value: float) -> None:
        before = self._cutoffs
        self.moved.emit(line, value)
        self._touched |= self._cutoffs != before

    def _release(self) -> None:
        touched = self._touched
        self.let_go()
        if touched:
            self.released.emit()

    # ---- painting ----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._bins is None or self._cutoffs is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        self._paint_bars(painter, self._bins)
        self._paint_axis(painter, self._bins, ink)
        self._paint_lines(painter, ink)
        painter.end()

    def _paint_bars(self, painter: QPainter, bins: ValueBins) -> None:
        plot = self._plot
        most = max(int(bins.counts.max()), 1)
        # On whole pixels: bars that share one would show a seam.
        edges = [round(plot.left() + k * plot.width() / BINS) for k in range(BINS + 1)]
        bars = [
            QRectF(left, plot.bottom() - tall, right - left, tall)
            for left, right, count in zip(edges[:-1], edges[1:], bins.counts.tolist(), strict=True)
            if count and (tall := max(plot.height() * count / most, _LEAST_BAR_PX))
        ]
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        ends = [plot.left(), *(self.line_px(k) for k in range(3)), plot.right()]
        for rgb, left, right in zip(CLASS_COLOURS, ends[:-1], ends[1:], strict=True):
            # A bar that a line runs through has two colours.
            painter.setClipRect(QRectF(left, 0, right - left, self.height()))
            painter.setBrush(QColor(*rgb, _BAR_ALPHA))
            painter.drawRects(bars)
            painter.setBrush(QColor(*rgb))
            painter.drawRect(QRectF(left, plot.bottom(), right - left, _STRIP_PX))
        painter.restore()

    def _paint_axis(self, painter: QPainter, bins: ValueBins, ink: QColor) -> None:
        plot, metrics = self._plot, QFontMetrics(self.font())
        painter.setPen(ink)
        below = plot.bottom() + _STRIP_PX
        for tick in bins.axis.ticks:
            x = plot.left() + bins.axis.share(tick) * plot.width()
            painter.drawLine(QPointF(x, below), QPointF(x, below + 3))
            place = QRectF(x - 40, below + 3, 80, metrics.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, f"{tick:g}")
        place = QRectF(0, below + 3 + metrics.height(), self.width(), metrics.height())
        painter.setFont(self._small)
        metrics = QFontMetrics(self._small)
        title = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, title)

    def _paint_lines(self, painter: QPainter, ink: QColor) -> None:
        plot, tabs = self._plot, self.tab_px()
        assert self._bins is not None
        assert self._cutoffs is not None
        painter.setFont(self._small)
        for k, value in enumerate(self._cutoffs.values):
            x, colour = self.line_px(k), QColor(*CLASS_COLOURS[k + 1])
            turn, foot = QPointF(x, plot.top()), QPointF(x, plot.bottom() + _STRIP_PX)
            neck = QPointF(tabs[k], TAB_HEIGHT_PX)
            for width, pen in ((4.0, self.palette().color(self.backgroundRole())), (2.0, colour)):
                painter.setPen(QPen(pen, width))
                painter.drawPolyline([neck, turn, foot])
            tab = QRectF(tabs[k] - TAB_PX / 2, 1, TAB_PX, TAB_HEIGHT_PX - 1)
            chosen = self.hasFocus() and k == self._line
            painter.setPen(QPen(ink, 2.0) if chosen else QPen(colour, 1.0))
            painter.setBrush(colour)
            painter.drawRoundedRect(tab, 3, 3)
            painter.setPen(_DARK if k < 2 else QColor("white"))
            name = CLASS_NAMES[k + 1]
            if value < self._bins.axis.low:
                name = f"‹ {name}"
            elif value > self._bins.axis.high:
                name = f"{name} ›"
            painter.drawText(tab, Qt.AlignmentFlag.AlignCenter, name)
