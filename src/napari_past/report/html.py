"""Pages as one HTML file that needs nothing else: pictures are in it, and no address is."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from napari_past.report.drawing import PNG_MARK, Colour, Drawing, Label, Path, Raster, Shape
from napari_past.report.page import Figure, Page, Table

ROOM_MM = 242.0
"""Height between header and footer."""
LINE_MM, LETTERS = 3.6, 100
"""Height of a line in a wide typeface, and how many letters it holds."""

STYLE = """
@page { size: A4; margin: 0; }
* { box-sizing: border-box; }
body { margin: 0; background: #ececec; color: #1e1e1e;
       font: 8.5pt/1.22 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
.page { width: 210mm; min-height: 296mm; margin: 4mm auto; padding: 8mm 14mm 6mm; background: #fff;
        display: flex; flex-direction: column; gap: 2.4mm; break-after: page; }
header { display: flex; justify-content: space-between; gap: 6mm;
         border-bottom: 0.5mm solid #1e1e1e; padding-bottom: 2mm; }
h1 { font-size: 14pt; margin: 0 0 1mm; line-height: 1.15; }
h2 { font-size: 9pt; margin: 0 0 1mm; }
.check { text-align: right; flex: none; }
.check small { display: block; color: #555; font-size: 7pt; }
.code { font-size: 18pt; font-weight: bold; line-height: 1.1; }
.missing { color: #a00000; font-size: 13pt; }
.print { font: bold 12pt/1.2 "Courier New", "Liberation Mono", monospace; white-space: nowrap; }
.warning { border: 0.4mm solid #b06000; background: #fff1d6; padding: 1mm 2mm; font-weight: bold; }
.warning p { margin: 0; }
.body { display: flex; flex-direction: column; gap: 2.4mm; }
.row { display: flex; gap: 4mm; }
figure { margin: 0; flex: 1 1 0; min-width: 0; }
svg { overflow: visible; }
figure > svg { max-width: 100%; height: auto; display: block; }
figcaption, .notes { font-size: 7pt; color: #333; margin-top: 1mm; }
.key { margin-right: 2mm; white-space: nowrap; }
.key svg { vertical-align: -0.6mm; margin-right: 0.6mm; }
table { border-collapse: collapse; width: 100%; font-size: 7.5pt; }
th, td { padding: 0.35mm 1mm; text-align: right; border-bottom: 0.1mm solid #bbb; }
th { border-bottom: 0.3mm solid #1e1e1e; }
.name { text-align: left; }
.notes p { margin: 0.4mm 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.3mm 3mm; margin: 0;
     font-size: 7.5pt; }
dt { font-weight: bold; }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: auto; border-top: 0.3mm solid #1e1e1e; padding-top: 1.5mm; display: flex;
         justify-content: space-between; gap: 6mm; font-weight: bold; font-size: 7.5pt; }
footer span { white-space: nowrap; }
@media print { body { background: none; }
               .page { min-height: 296mm; margin: 0; } }
"""


def html_report(pages: Sequence[Page]) -> str:
    """The whole file."""
    title = escape(pages[0].slide if len(pages) == 1 else f"{len(pages)} pages")
    body = "\n".join(_page(page) for page in pages)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="generator" content="napari-past">\n'
        f"<title>{title} · napari-past report</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def svg(drawing: Drawing, *, alone: bool = False) -> str:
    """A drawing as an inline element, or as one that can be a file of its own."""
    own = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ' if alone else ""
    shapes = "".join(_shape(shape) for shape in drawing.shapes)
    return (
        f'<svg {own}role="img" aria-label="{escape(drawing.describes)}" '
        f'width="{drawing.width:.2f}mm" height="{drawing.height:.2f}mm" '
        f'viewBox="0 0 {drawing.width:.2f} {drawing.height:.2f}">{shapes}</svg>'
    )


def _shape(shape: Shape) -> str:
    if isinstance(shape, Raster):
        data = b64encode(shape.data).decode()
        kind = "png" if shape.data.startswith(PNG_MARK) else "jpeg"
        return (
            f'<image x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" '
            f'height="{shape.height:.2f}" preserveAspectRatio="none" '
            f'href="data:image/{kind};base64,{data}"/>'
        )
    if isinstance(shape, Label):
        weight = ' font-weight="bold"' if shape.bold else ""
        return (
            f'<text x="{shape.x:.2f}" y="{shape.y:.2f}" font-size="{shape.size:g}"{weight} '
            f'text-anchor="{shape.anchor}" fill="{_css(shape.ink)}">{escape(shape.text)}</text>'
        )
    assert isinstance(shape, Path)
    closed = shape.fill is not None
    points = "L".join(f"{x:.2f} {y:.2f}" for x, y in shape.points)
    stroke = "none" if shape.ink is None else _css(shape.ink)
    fill = "none" if shape.fill is None else _css(shape.fill)
    return (
        f'<path d="M{points}{"Z" if closed else ""}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{shape.width:g}" stroke-linejoin="round"/>'
    )


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _page(page: Page) -> str:
    warnings = "".join(f"<p>{escape(line)}</p>" for line in page.warnings)
    missing = "" if page.case_given else " missing"
    parts = [
        f"<header><div><h1>{escape(page.title)}</h1><div>{escape(page.slide)}</div></div>"
        f'<div class="check"><small>case code</small>'
        f'<div class="code{missing}">{escape(page.case_code)}</div><small>slide fingerprint</small>'
        f'<div class="print" title="{escape(page.fingerprint_full)}">{escape(page.fingerprint)}'
        "</div></div></header>",
        f'<div class="body" style="zoom: {_zoom(page):.2f}">',
        f'<div class="warning">{warnings}</div>' if warnings else "",
        f'<div class="row">{"".join(map(_figure, page.figures))}</div>' if page.figures else "",
        *map(_table, page.tables),
        f'<div class="row">{"".join(map(_figure, page.plots))}</div>',
        "<dl>"
        + "".join(f"<dt>{escape(f.label)}</dt><dd>{escape(f.text)}</dd>" for f in page.facts)
        + "</dl></div>",
        f"<footer><span>{escape(page.footer)}</span><span>{escape(page.number)}</span></footer>",
    ]
    return f'<section class="page">\n{chr(10).join(part for part in parts if part)}\n</section>'


def _zoom(page: Page) -> float:
    """How much smaller the page's middle is set to stay on one sheet, by the lines that it has."""
    pictures = [f.drawing.height + 13 for f in page.figures]
    plots = [f.drawing.height + 9 for f in page.plots]
    tables = sum(10 + LINE_MM * (1.3 * len(t.rows) + len(t.notes)) for t in page.tables)
    facts = sum(1 + len(fact.text) // LETTERS for fact in page.facts)
    warnings = sum(2 + len(line) // LETTERS for line in page.warnings)
    tall = max(pictures, default=0) + max(plots) + tables + LINE_MM * (facts + warnings)
    return min(1.0, ROOM_MM / tall)


def _figure(figure: Figure) -> str:
    keys = "".join(
        f'<span class="key">{svg(drawing)}{escape(text)}</span>' for drawing, text in figure.legend
    )
    below = f"{keys}{escape(figure.note)}"
    caption = f"<figcaption>{below}</figcaption>" if below else ""
    return f"<figure><h2>{escape(figure.title)}</h2>{svg(figure.drawing)}{caption}</figure>"


def _table(table: Table) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        texts = (
            f"<{tag}{' class=name' if i < table.names else ''}>{escape(text)}</{tag}>"
            for i, text in enumerate(cells)
        )
        return f"<tr>{''.join(texts)}</tr>"

    head = f"<thead>{line(table.columns, 'th')}</thead>"
    body = f"<tbody>{''.join(line(row, 'td') for row in table.rows)}</tbody>"
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    return (
        f"<div><h2>{escape(table.title)}</h2><table>{head}{body}</table>"
        f'<div class="notes">{notes}</div></div>'
    )
