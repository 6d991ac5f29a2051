"""Pages as PDF: one sheet of A4 for each, in the typefaces that every reader of PDF has."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from html import escape

from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepInFrame, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from napari_past.errors import PastError
from napari_past.report.drawing import INK, Colour, Drawing, Label, Path, Raster
from napari_past.report.page import Figure, Page, Table

CODE_PAGE = "cp1252"
"""Letters of the standard typefaces of PDF."""
MARGIN, WIDTH = 14 * mm, 182 * mm
HEADER, FOOTER = 27 * mm, 9 * mm
TOP, BOTTOM = 10 * mm, 8 * mm
GAP = 4 * mm
LEAST_NAME = 20 * mm
LEAST_SCALE, LEAST_PLOT = 0.6, 0.85
"""Pictures, and plots, are made smaller down to these parts before letters are."""
WARNING: Colour = (160, 0, 0)
ALERT: Colour = (255, 241, 214)
ALERT_EDGE: Colour = (176, 96, 0)


def check_letters(case_code: str) -> None:
    """Raise where a case code has letters that the typefaces of the PDF lack.

    Other texts are written with a question mark in such a place; a case code must not be.

    Raises
    ------
    PastError
    """
    lacking = sorted({c for c in case_code if _encoded(c) is None})
    if lacking:
        raise PastError(
            f"The PDF cannot show {', '.join(lacking)} of the case code {case_code!r}; write the "
            "report as .html, which shows every letter, or use Latin letters and digits."
        )


def pdf_report(pages: Sequence[Page]) -> bytes:
    """The whole file; the same pages give the same bytes."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("napari-past report")
    canvas.setCreator("napari-past")
    for page in pages:
        _draw_header(canvas, page)
        _draw_footer(canvas, page)
        _draw_body(canvas, page)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def printable(text: str) -> str:
    """`text` in letters that the typefaces have; "?" for what has no near one."""
    return "".join(c if _encoded(c) is not None else _near(c) for c in text)


def _encoded(letter: str) -> bytes | None:
    try:
        return letter.encode(CODE_PAGE)
    except UnicodeEncodeError:
        return None


@cache
def _near(letter: str) -> str:
    plain = unicodedata.normalize("NFKD", letter)
    return "".join(c for c in plain if _encoded(c) is not None) or "?"


# ---- header and footer -----------------------------------------------------------------------


def _draw_header(canvas: Canvas, page: Page) -> None:
    top = A4[1] - TOP
    right = A4[0] - MARGIN
    left_width = 100 * mm
    code = printable(page.case_code)
    size = 18 if page.case_given else 13
    room = WIDTH - left_width - GAP
    size = min(size, size * room / canvas.stringWidth(code, "Helvetica-Bold", size))
    canvas.setFillColor(_colour((85, 85, 85)))
    canvas.setFont("Helvetica", 7)
    canvas.drawRightString(right, top - 2.5 * mm, "case code")
    canvas.drawRightString(right, top - 14.5 * mm, "slide fingerprint")
    canvas.setFillColor(_colour(INK if page.case_given else WARNING))
    canvas.setFont("Helvetica-Bold", size)
    canvas.drawRightString(right, top - 9.5 * mm, code)
    canvas.setFillColor(_colour(INK))
    canvas.setFont("Courier-Bold", 12)
    canvas.drawRightString(right, top - 19.5 * mm, printable(page.fingerprint))
    title = _paragraph(page.title, 14, bold=True)
    slide = _paragraph(page.slide, 9)
    room_above_rule = HEADER - 6 * mm
    words = KeepInFrame(left_width, room_above_rule, [title, Spacer(1, 3), slide], mode="shrink")
    _, height = words.wrapOn(canvas, left_width, room_above_rule)
    words.drawOn(canvas, MARGIN, top - height)
    canvas.setStrokeColor(_colour(INK))
    canvas.setLineWidth(0.5 * mm)
    canvas.line(MARGIN, top - HEADER + 4 * mm, right, top - HEADER + 4 * mm)


def _draw_footer(canvas: Canvas, page: Page) -> None:
    right = A4[0] - MARGIN
    canvas.setStrokeColor(_colour(INK))
    canvas.setLineWidth(0.3 * mm)
    canvas.line(MARGIN, BOTTOM + 4.5 * mm, right, BOTTOM + 4.5 * mm)
    canvas.setFillColor(_colour(INK))
    font, number, footer = "Helvetica-Bold", printable(page.number), printable(page.footer)
    room = WIDTH - canvas.stringWidth(number, font, 8) - GAP
    canvas.setFont(font, 8)
    canvas.drawRightString(right, BOTTOM, number)
    canvas.setFont(font, min(8, 8 * room / canvas.stringWidth(footer, font, 8)))
    canvas.drawString(MARGIN, BOTTOM, footer)


# ---- between them ----------------------------------------------------------------------------


def _draw_body(canvas: Canvas, page: Page) -> None:
    """As large as fits: pictures shrink first, then everything."""
    height = A4[1] - TOP - HEADER - BOTTOM - FOOTER
    scale = 1.0
    parts = _body(page, scale)
    while scale > LEAST_SCALE and _tall(canvas, parts) > height:
        scale -= 0.05
        parts = _body(page, scale)
    whole = KeepInFrame(WIDTH, height, parts, mode="shrink")
    _, used = whole.wrapOn(canvas, WIDTH, height)
    whole.drawOn(canvas, MARGIN, A4[1] - TOP - HEADER - used)


def _tall(canvas: Canvas, parts: list[Flowable]) -> float:
    return sum(part.wrapOn(canvas, WIDTH, 10 * A4[1])[1] for part in parts)


def _body(page: Page, scale: float) -> list[Flowable]:
    parts: list[Flowable] = []
    if page.warnings:
        lines = [[_paragraph(line, 8.5, bold=True)] for line in page.warnings]
        style = [
            ("BACKGROUND", (0, 0), (-1, -1), _colour(ALERT)),
            ("BOX", (0, 0), (-1, -1), 0.4 * mm, _colour(ALERT_EDGE)),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ]
        parts += [Grid(lines, colWidths=[WIDTH], style=style, hAlign="LEFT"), Spacer(1, 3 * mm)]
    if page.figures:
        parts += [_row(page.figures, scale), Spacer(1, 3 * mm)]
    for table in page.tables:
        parts += [_paragraph(table.title, 9, bold=True), Spacer(1, 1.5), _grid(table), Spacer(1, 2)]
        parts += [_paragraph(note, 7) for note in table.notes]
        parts.append(Spacer(1, 3 * mm))
    parts += [_row(page.plots, max(scale, LEAST_PLOT)), Spacer(1, 2 * mm), _facts(page)]
    return parts


def _row(figures: Sequence[Figure], scale: float) -> Flowable:
    count = max(2, len(figures))
    width = (WIDTH - (count - 1) * GAP) / count
    cells: list[list[Flowable]] = []
    for figure in figures:
        cell: list[Flowable] = [
            _paragraph(figure.title, 9, bold=True),
            Spacer(1, 2),
            _Picture(figure.drawing, min(scale, width / (figure.drawing.width * mm))),
            Spacer(1, 2),
        ]
        if figure.legend:
            cell.append(_Legend(figure.legend, width))
        if figure.note:
            cell.append(_paragraph(figure.note, 7))
        cells.append(cell)
    cells += [[] for _ in range(count - len(figures))]
    widths = [width + GAP] * (count - 1) + [width]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-2, -1), GAP),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
    ]
    return Grid([cells], colWidths=widths, style=style, hAlign="LEFT")


def _grid(table: Table) -> Flowable:
    """A table as wide as the page."""
    lines = [table.columns, *table.rows]
    pad = 2.0
    widths = [_width(column, lines) + 2 * pad for column in range(len(table.columns))]
    # The name of the region takes what the others leave, and wraps where that is little.
    name = table.names - 2
    widths[name] = max(LEAST_NAME, WIDTH - sum(widths[:name] + widths[name + 1 :]))
    texts = [
        [
            _paragraph(text, 7.5, bold=not i, right=column >= table.names)
            for column, text in enumerate(line)
        ]
        for i, line in enumerate(lines)
    ]
    style = [
        ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
        ("LEFTPADDING", (0, 0), (-1, -1), pad),
        ("RIGHTPADDING", (0, 0), (-1, -1), pad),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ("LINEBELOW", (0, 0), (-1, 0), 0.3 * mm, _colour(INK)),
        ("LINEBELOW", (0, 1), (-1, -1), 0.1 * mm, _colour((185, 185, 185))),
    ]
    return Grid(texts, colWidths=widths, style=style, hAlign="LEFT")


def _width(column: int, lines: Sequence[Sequence[str]]) -> float:
    """Of the widest text of a column."""
    canvas = Canvas(io.BytesIO())
    texts = [canvas.stringWidth(printable(line[column]), "Helvetica", 7.5) for line in lines[1:]]
    title = canvas.stringWidth(printable(lines[0][column]), "Helvetica-Bold", 7.5)
    return max([*texts, title]) + 1


def _facts(page: Page) -> Flowable:
    lines = [
        [_paragraph(fact.label, 7.5, bold=True), _paragraph(fact.text, 7.5)] for fact in page.facts
    ]
    first = max(len(fact.label) for fact in page.facts) * 4.4 + 8
    first = min(first, 45 * mm)
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.2),
    ]
    return Grid(lines, colWidths=[first, WIDTH - first], style=style, hAlign="LEFT")


def _paragraph(text: str, size: float, bold: bool = False, right: bool = False) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontName="Helvetica-Bold" if bold else "Helvetica",
        fontSize=size,
        leading=1.22 * size,
        alignment=2 if right else 0,
        textColor=_colour(INK),
        splitLongWords=1,
    )
    return Paragraph(escape(printable(text)), style)


def _colour(rgb: Colour) -> Color:
    return Color(*(channel / 255 for channel in rgb))


class _Picture(Flowable):
    """A drawing at its size in mm, times a scale."""

    def __init__(self, drawing: Drawing, scale: float) -> None:
        super().__init__()
        self._drawing, self._scale = drawing, scale
        self.width, self.height = drawing.width * mm * scale, drawing.height * mm * scale

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        draw_shapes(self.canv, self._drawing, self._scale)


class _Legend(Flowable):
    """Small drawings with words, as many on a line as fit."""

    def __init__(self, entries: Sequence[tuple[Drawing, str]], width: float) -> None:
        super().__init__()
        canvas = Canvas(io.BytesIO())
        self._places: list[tuple[float, float, Drawing, str]] = []
        x = y = 0.0
        for drawing, text in entries:
            wide = drawing.width * mm + 2 + canvas.stringWidth(printable(text), "Helvetica", 7) + 6
            if x and x + wide - 6 > width:
                x, y = 0.0, y + 9.5
            self._places.append((x, y, drawing, printable(text)))
            x += wide
        self.width, self.height = width, y + 10

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        for x, y, drawing, text in self._places:
            base = self.height - y - 9
            self.canv.saveState()
            self.canv.translate(x, base)
            draw_shapes(self.canv, drawing, 1.0)
            self.canv.restoreState()
            self.canv.setFillColor(_colour(INK))
            self.canv.setFont("Helvetica", 7)
            self.canv.drawString(x + drawing.width * mm + 2, base + 2, text)


def draw_shapes(canvas: Canvas, drawing: Drawing, scale: float) -> None:
    """Draw at the canvas's origin, which is the drawing's lower left corner."""
    canvas.saveState()
    canvas.scale(mm * scale, mm * scale)
    top = drawing.height
    for shape in drawing.shapes:
        if isinstance(shape, Raster):
            picture = ImageReader(io.BytesIO(shape.data))
            y = top - shape.y - shape.height
            canvas.drawImage(picture, shape.x, y, shape.width, shape.height)
        elif isinstance(shape, Label):
            canvas.setFillColor(_colour(shape.ink))
            canvas.setFont("Helvetica-Bold" if shape.bold else "Helvetica", shape.size)
            draw = {
                "start": canvas.drawString,
                "middle": canvas.drawCentredString,
                "end": canvas.drawRightString,
            }[shape.anchor]
            draw(shape.x, top - shape.y, printable(shape.text))
        else:
            _draw_path(canvas, shape, top)
    canvas.restoreState()


def _draw_path(canvas: Canvas, shape: Path, top: float) -> None:
    path = canvas.beginPath()
    for i, (x, y) in enumerate(shape.points):
        (path.lineTo if i else path.moveTo)(x, top - y)
    if shape.fill is not None:
        path.close()
        canvas.setFillColor(_colour(shape.fill))
    if shape.ink is not None:
        canvas.setStrokeColor(_colour(shape.ink))
        canvas.setLineWidth(shape.width)
        canvas.setLineJoin(1)
    canvas.drawPath(path, stroke=int(shape.ink is not None), fill=int(shape.fill is not None))
