"""The panels of the Grafana dashboard, drawn from example data: an hour with an outage of ten minutes."""

import json
import math

from svg import WIDTH, Picture

INKS = ["blue", "amber", "green", "red", "violet", "teal"]
STEPS, DOWN, UP = 60, 25, 35


def noise(step, seed):
    return math.sin(step * 0.9 + seed * 2.1) * 0.5 + math.sin(step * 0.37 + seed) * 0.5


def steady(base, seed, during=None, after=None):
    """A level with noise; another one during the outage and in the minutes after it."""

    def at(step):
        if DOWN <= step < UP:
            level = base if during is None else during(step - DOWN)
        elif after is not None and UP <= step < UP + 3:
            level = after
        else:
            level = base
        return max(0, level * (1 + 0.06 * noise(step, seed)))

    return [at(step) for step in range(STEPS)]


def flat(value):
    return lambda _: value


# Title of a panel: for each series its label and its values.
DATA = {
    "Calls by outcome": [
        ("ok", steady(420, 1, flat(60))),
        ("not_applied", steady(2, 2, flat(80))),
        ("maybe_applied", steady(0.2, 3, lambda step: 25 if step < 1 else 1)),
    ],
    "Latency of calls": [
        ("p50", steady(0.0021, 1, flat(0.0024))),
        ("p95", steady(0.006, 2, lambda step: 0.9 if step < 2 else 0.02)),
        ("p99", steady(0.011, 3, lambda step: 2.9 if step < 2 else 0.05)),
    ],
    "Failed calls by kind": [
        ("connect", steady(0, 1, flat(70))),
        ("timeout", steady(0, 2, lambda step: 25 if step < 2 else 3)),
        ("redis", steady(2, 3)),
    ],
    "Latency of HTTP requests": [
        ("p50", steady(0.0019, 4)),
        ("p95", steady(0.005, 5, flat(0.012))),
        ("p99", steady(0.009, 6, flat(0.03))),
    ],
    "Retries": [
        ("after connect", steady(0, 1, flat(12))),
        ("after timeout", steady(0.3, 2, flat(3))),
        ("refused by the budget", steady(0, 3, flat(40))),
        ("no connection", steady(0, 4, flat(82))),
    ],
    "Requests in flight": [("in flight", steady(1.4, 5, flat(0.5)))],
    "Batch sizes": [
        ("p50 auto", steady(9, 1, flat(2))),
        ("p95 auto", steady(38, 2, flat(5))),
        ("p50 pipeline", steady(12, 3)),
        ("p95 pipeline", steady(100, 4)),
    ],
    "Breakers": [
        ("session_store open", [1 if DOWN <= step < UP else 0 for step in range(STEPS)]),
        ("session_store closed", [0 if DOWN <= step < UP else 1 for step in range(STEPS)]),
    ],
    "Breaker transitions": [
        ("session_store to open", [0.07 if DOWN <= s < UP and s % 2 else 0 for s in range(STEPS)]),
        ("session_store to closed", [0.05 if s == UP else 0 for s in range(STEPS)]),
    ],
    "Sessions created": [
        ("durable", steady(6, 1, flat(0))),
        ("pending", steady(0, 2, flat(6))),
        ("maybe_applied", steady(0, 3, lambda step: 1.2 if step < 1 else 0)),
    ],
    "Latency of retrieval": [
        ("p50 manager", steady(0.00002, 1)),
        ("p95 manager", steady(0.0022, 2, flat(0.00004))),
        ("p50 redis", steady(0.0021, 3, flat(0))),
        ("p95 redis", steady(0.0055, 4, flat(0))),
    ],
    "Sessions expired": [
        ("manager", steady(0.8, 1)),
        ("redis", steady(0.3, 2, flat(0))),
        ("memory", steady(0.1, 3)),
    ],
    "Pending": [
        ("session", steady(0, 1, lambda step: 360 * (step + 1), 900)),
        ("deletion", steady(0, 2, lambda step: 50 * (step + 1), 100)),
        ("revocation", steady(0, 3, lambda step: 4 * (step + 1), 5)),
    ],
    "Sessions in memory": [
        ("held by managers", [12000 + 55 * step + 80 * noise(step, 1) for step in range(STEPS)]),
        ("in in-memory stores", steady(900, 2)),
    ],
    "Memory": [
        ("in-memory stores", steady(0.9e6, 1)),
        ("Redis", [31e6 + 1.2e5 * step for step in range(STEPS)]),
    ],
}


def number(value, unit):
    if unit == "s":
        return f"{value * 1e6:.0f} µs" if value < 1e-3 else f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.0f} s"
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    if value >= 1000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def draw(path):
    panels = [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] == "timeseries"]
    columns, height = 2, 150
    width = (WIDTH - 20 * (columns + 1)) / columns
    rows = -(-len(panels) // columns)
    p = Picture(56 + rows * (height + 14) + 20, "The Grafana dashboard, drawn from example data")
    p.text(20, 34, "examples/grafana-dashboard.json", "ink h")
    p.text(680, 34, "example data: an hour with an outage", "soft s", "end")
    for index, panel in enumerate(panels):
        x = 20 + (index % columns) * (width + 20)
        y = 52 + (index // columns) * (height + 14)
        alone = index == len(panels) - 1 and index % columns == 0
        plot(p, x, y, WIDTH - 40 if alone else width, height, panel)
    return p.svg()


def plot(p, x, y, width, height, panel):
    title, unit = panel["title"], panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    series = DATA[title]
    p.rect(x, y, round(width, 1), height)
    p.text(x + 12, y + 21, title, "ink b s")
    left, right, top, bottom = x + 52, x + width - 12, y + 34, y + height - 42
    p.rect(round(left + (right - left) * DOWN / STEPS, 1), top, round((right - left) * (UP - DOWN) / STEPS, 1), bottom - top, "bad", 0, False)
    most = max(max(values) for _, values in series) or 1
    for part in (0, 0.5, 1):
        line = bottom - (bottom - top) * part
        p.raw(f'<path class="grid l-soft" d="M{left} {line:.1f}H{right:.1f}"/>')
        p.text(left - 6, round(line + 4, 1), number(most * part, unit), "soft s", "end")
    for (_, values), ink in zip(series, INKS):
        heights = [round(bottom - (bottom - top) * value / most) for value in values]
        points = [
            f"{left + (right - left) * step / (STEPS - 1):.0f} {height}"
            for step, height in enumerate(heights)
            # In a level stretch the ends are enough.
            if not set(heights[max(0, step - 1) : step + 2]) == {height} or step in (0, STEPS - 1)
        ]
        p.path("M" + "L".join(points), ink, False)
    at, line = x + 12, y + height - 22
    for (label, _), ink in zip(series, INKS):
        length = 16 + 7.2 * len(label) + 10
        if at + length > x + width:
            at, line = x + 12, line + 15
        p.rect(round(at, 1), line - 7, 10, 4, ink, 1, False)
        p.text(round(at + 15, 1), line, label, "soft s")
        at += length
