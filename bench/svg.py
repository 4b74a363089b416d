"""Plots as SVG, with the standard library: bars and lines on logarithmic axes."""
import math
from xml.sax.saxutils import escape

COLOURS = ('#2563eb', '#ea580c', '#16a34a', '#9333ea', '#dc2626', '#0891b2', '#ca8a04', '#475569')
FONT = 'font-family="sans-serif" font-size="11"'
LEFT, RIGHT, TOP, BOTTOM = 62, 150, 34, 46


class Panel:
    """One plot of width x height, whose y axis is logarithmic."""

    def __init__(self, title, unit, width=760, height=300):
        self.title, self.unit, self.width, self.height = title, unit, width, height
        self.parts = []

    def scale(self, values):
        values = [v for v in values if v > 0] or [1]
        self.low = 10 ** math.floor(math.log10(min(values)))
        self.high = 10 ** math.ceil(math.log10(max(values)) + 1e-9)
        if self.high <= self.low:
            self.high = self.low * 10

    def y(self, value):
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def text(self, x, y, text, anchor='middle', more=''):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT} {more}>{escape(text)}</text>')

    def frame(self):
        self.text(LEFT, 18, self.title, 'start', 'font-weight="bold"')
        value = self.low
        while value <= self.high * 1.001:
            y = self.y(value)
            self.parts.append(f'<line x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            self.text(LEFT - 6, y + 4, f'{value:g} {self.unit}', 'end')
            value *= 10

    def legend(self, names):
        for i, name in enumerate(names):
            x, y = self.width - RIGHT + 14, TOP + 16 * i
            self.parts.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>')
            self.text(x + 16, y + 9, name, 'start')

    def bars(self, groups, series):
        """groups: names along x. series: {name: values, one per group; None: not measured}."""
        self.scale([v for values in series.values() for v in values if v])
        self.frame()
        step = (self.width - LEFT - RIGHT) / max(len(groups), 1)
        width = step * .8 / max(len(series), 1)
        for g, group in enumerate(groups):
            self.text(LEFT + step * (g + .5), self.height - BOTTOM + 16, group)
            for s, values in enumerate(series.values()):
                if not values[g]:
                    continue
                x, y = LEFT + step * (g + .1) + width * s, self.y(values[g])
                self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                                  f'height="{self.height - BOTTOM - y:.1f}" fill="{COLOURS[s % len(COLOURS)]}"/>')
        self.legend(series)
        return self

    def lines(self, xs, series, label):
        """xs: rising numbers, also logarithmic. label(x) names one."""
        self.scale([v for values in series.values() for v in values if v])
        self.frame()
        span = math.log(xs[-1] / xs[0]) if len(xs) > 1 else 1
        places = [LEFT + 10 + math.log(x / xs[0]) / span * (self.width - LEFT - RIGHT - 20) for x in xs]
        for x, place in zip(xs, places):
            self.text(place, self.height - BOTTOM + 16, label(x))
        for s, values in enumerate(series.values()):
            points = [(p, self.y(v)) for p, v in zip(places, values) if v]
            path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
            colour = COLOURS[s % len(COLOURS)]
            self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        self.legend(series)
        return self


def write(path, panels):
    """Panels below each other."""
    width, height = max(p.width for p in panels), sum(p.height for p in panels)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}">\n<rect width="100%" height="100%" fill="white"/>\n')
        top = 0
        for panel in panels:
            f.write(f'<g transform="translate(0 {top})">\n' + '\n'.join(panel.parts) + '\n</g>\n')
            top += panel.height
        f.write('</svg>\n')
