#!/usr/bin/env python3
"""Draws the pictures of the documentation: `docs/pictures/draw.py`, or with `--check` compares."""

import sys
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


def main():
    check, wrong = "--check" in sys.argv, []
    for name, svg in pictures():
        path = DOCS / name
        if check:
            wrong += [name] if not path.exists() or path.read_text() != svg else []
        else:
            path.write_text(svg)
    if wrong:
        sys.exit(f"out of date, run docs/pictures/draw.py: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
