#!/usr/bin/env python3
"""Draws the pictures of the documentation: `docs/pictures/draw.py`, or with `--check` compares."""

import sys
from base64 import b64encode
from pathlib import Path

sys.dont_write_bytecode = True

import dashboard
import diagrams
import terminal

DOCS = Path(__file__).resolve().parent.parent


def pictures():
    yield "architecture.svg", diagrams.architecture().svg()
    yield "outage.svg", diagrams.outage().svg()
    yield "outcomes.svg", diagrams.outcomes().svg()
    yield "session-life.svg", diagrams.session_life().svg()
    yield "licence.svg", diagrams.badge("licence", "MIT or Apache-2.0")
    yield "msrv.svg", diagrams.badge("Rust", "1.89+")
    yield "dashboard.svg", dashboard.draw(DOCS.parent / "examples/grafana-dashboard.json")
    yield "terminal.svg", terminal.draw(DOCS / "pictures/terminal.txt")


# The pages of rustdoc have no files beside them, so the pictures are in them.
IN_RUSTDOC = {
    "architecture.svg",
    "dashboard.svg",
    "outage.svg",
    "outcomes.svg",
    "session-life.svg",
    "terminal.svg",
}


def files():
    for name, svg in pictures():
        yield name, svg
        if name in IN_RUSTDOC:
            data = b64encode(svg.encode()).decode()
            yield f"pictures/rustdoc/{name}.md", f"[{name}]: data:image/svg+xml;base64,{data}\n"


def main():
    check, wrong = "--check" in sys.argv, []
    for name, svg in files():
        path = DOCS / name
        if check:
            wrong += [name] if not path.exists() or path.read_text() != svg else []
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(svg)
    if wrong:
        sys.exit(f"out of date, run docs/pictures/draw.py: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
