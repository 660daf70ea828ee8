"""Bars as SVG: one picture of a few figures that are compared. A library that draws would be a hundred times as large."""

import math
from xml.sax.saxutils import escape

from .figure import number

LABEL, BAR, VALUE, ROW, TOP = 340, 360, 120, 26, 40
COLOURS = ("#2f6f9f", "#b5793a")
# Of whose bars the colour is another one: what people use instead.
OTHERS = ("recipe", "plain kubeadm")


def svg(title: str, unit: str, rows: list[tuple[str, float]]) -> str:
    """A bar for each (label, value), the longest as long as there is room. One that never ended has no bar."""
    width, height = LABEL + BAR + VALUE, TOP + ROW * len(rows) + 10
    longest = max((value for _, value in rows if math.isfinite(value)), default=0) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for at, (label, value) in enumerate(rows):
        middle = TOP + ROW * at + ROW / 2
        long = BAR * value / longest if math.isfinite(value) else 0
        colour = COLOURS[any(other in label for other in OTHERS)]
        told = f"{number(value)} {unit}".strip() if math.isfinite(value) else "never"
        parts += [
            f'<text x="{LABEL - 10}" y="{middle + 4:g}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL}" y="{middle - 8:g}" width="{long:.1f}" height="16" fill="{colour}"/>',
            f'<text x="{LABEL + long + 6:.1f}" y="{middle + 4:g}">{escape(told)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
