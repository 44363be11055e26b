"""Shapes of the pictures: plain SVG, 700 pixels wide, in light and dark colours."""

from html import escape

WIDTH = 700

# Class: light, dark.
COLOURS = {
    "paper": ("#ffffff", "#0d1117"),
    "plain": ("#f6f8fa", "#161b22"),
    "good": ("#dafbe1", "#12361f"),
    "warn": ("#fff8c5", "#3a2d0a"),
    "bad": ("#ffebe9", "#3d1519"),
    "info": ("#ddf4ff", "#10294a"),
}
INKS = {
    "ink": ("#1f2328", "#f0f6fc"),
    "soft": ("#59636e", "#9198a1"),
    "green": ("#1a7f37", "#3fb950"),
    "amber": ("#9a6700", "#d29922"),
    "red": ("#cf222e", "#f85149"),
    "blue": ("#0969da", "#4493f8"),
    "violet": ("#8250df", "#ab7df8"),
    "teal": ("#1b7c83", "#39c5cf"),
}
LINE = ("#d1d9e0", "#3d444d")


def style():
    def rules(side):
        parts = [f".{name}{{fill:{pair[side]}}}" for name, pair in {**COLOURS, **INKS}.items()]
        parts += [f".l-{name}{{stroke:{pair[side]}}}" for name, pair in INKS.items()]
        parts.append(f".box{{stroke:{LINE[side]}}}")
        return "".join(parts)

    fonts = (
        "text{font:14px -apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
        ".b{font-weight:600}.s{font-size:12.5px}.h{font-size:17px;font-weight:600}"
        ".m{font-family:ui-monospace,'SF Mono',Menlo,'DejaVu Sans Mono',monospace;font-size:12.5px}"
        ".line{fill:none;stroke-width:1.6}.dash{stroke-dasharray:5 4}.grid{stroke-width:.5;opacity:.6}"
    )
    return f"<style>{fonts}{rules(0)}@media(prefers-color-scheme:dark){{{rules(1)}}}</style>"


class Picture:
    def __init__(self, height, title):
        self.height, self.title, self.parts = height, title, []
        markers = "".join(
            f'<marker id="a-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto-start-reverse"><path class="{name}" d="M0 0L8 4L0 8z"/></marker>'
            for name in INKS
        )
        self.parts.append(f"<defs>{markers}</defs>")
        self.parts.append(f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>')

    def rect(self, x, y, w, h, fill="plain", radius=6, border=True):
        kind = f"{fill} box" if border else fill
        self.parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="{radius}"/>'
        )

    def text(self, x, y, text, kind="ink", anchor="start"):
        self.parts.append(
            f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def box(self, x, y, w, h, lines, fill="plain"):
        """A rectangle with centred lines; each is a text or a text and its classes."""
        self.rect(x, y, w, h, fill)
        pairs = [line if isinstance(line, tuple) else (line, "ink") for line in lines]
        top = y + h / 2 - 9 * (len(pairs) - 1) + 5
        for index, (text, kind) in enumerate(pairs):
            self.text(x + w / 2, round(top + 18 * index, 1), text, kind, "middle")

    def path(self, d, ink="soft", arrow=True, dash=False):
        end = f' marker-end="url(#a-{ink})"' if arrow else ""
        dashed = " dash" if dash else ""
        self.parts.append(f'<path class="line l-{ink}{dashed}" d="{d}"{end}/>')

    def cross(self, x, y, size=6):
        self.path(f"M{x - size} {y - size}L{x + size} {y + size}M{x + size} {y - size}L{x - size} {y + size}", "red", False)

    def raw(self, text):
        self.parts.append(text)

    def svg(self):
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" '
            f'viewBox="0 0 {WIDTH} {self.height}" role="img">'
        )
        body = "\n".join(self.parts)
        return f"{head}\n<title>{escape(self.title)}</title>\n{style()}\n{body}\n</svg>\n"
