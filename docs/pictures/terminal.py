"""A recording of a terminal, from `terminal.txt`: real output, which `record` writes there.

A line that begins with `$ ` is typed; `-- clear` begins a new screen; other lines are output.
"""

from html import escape

from svg import WIDTH

ROW, TOP, LEFT = 18, 52, 18
TYPING, OUTPUT, READING = 0.9, 0.18, 3.5


def draw(path):
    screens = [[]]
    for line in path.read_text().splitlines():
        if line == "-- clear":
            screens.append([])
        else:
            screens[-1].append(line)
    rows = max(len(screen) for screen in screens)
    height = TOP + rows * ROW + 12
    now, spans = 0.6, []
    for screen in screens:
        shown = []
        for line in screen:
            typed = line.startswith(("$ ", "redis> "))
            now += TYPING if typed else OUTPUT
            shown.append((now, line))
        now += READING
        spans.append((shown, now))
    whole = now + 0.4
    parts, rules = [], []
    for number, (shown, end) in enumerate(spans):
        for row, (start, line) in enumerate(shown):
            name = f"t{number}-{row}"
            # The last screen stays, for those who see no animation.
            last = number == len(spans) - 1
            begin, gone = 100 * start / whole, 100 * end / whole
            hide = "" if last else f"{gone:.2f}%{{opacity:1}}{gone + 0.01:.2f}%,100%{{opacity:0}}"
            rules.append(
                f"@keyframes {name}{{0%,{begin:.2f}%{{opacity:0}}{begin + 0.01:.2f}%{{opacity:1}}{hide}"
                + ("100%{opacity:1}" if last else "")
                + f"}}.{name}{{opacity:{1 if last else 0};animation:{name} {whole:.1f}s infinite}}"
            )
            parts.append(
                f'<text class="{name} {kind(line)}" x="{LEFT}" y="{TOP + ROW * row}">{escape(line)}</text>'
            )
    style = (
        "text{font:12.5px ui-monospace,'SF Mono',Menlo,'DejaVu Sans Mono',monospace;white-space:pre}"
        ".out{fill:#d1d7e0}.in{fill:#ffffff;font-weight:600}.ok{fill:#57d36b}.bad{fill:#ff7b72}.sent{fill:#79c0ff}"
        ".title{fill:#9198a1}"
        "@media(prefers-reduced-motion:reduce){text{animation:none!important}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<title>quickstart, doctor and repl in a terminal</title>\n<style>{style}{''.join(rules)}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#0d1117" stroke="#3d444d"/>\n'
        f'<g fill="#3d444d"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def kind(line):
    if line.startswith(("$ ", "redis> ")):
        return "in"
    if line.startswith(("ok ", "OK")):
        return "ok"
    if line.startswith(("problem", "(error)")):
        return "bad"
    return "sent" if line.startswith(("→", "←")) else "out"
