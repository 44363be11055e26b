"""The drawn pictures: architecture, outage, outcomes, the life of a session."""

from svg import Picture

# A state of the store: the colour of its bar.
BARS = {"good": "green", "warn": "amber", "bad": "red"}


def architecture():
    p = Picture(566, "The crates, and the way of a call")
    for x, lines in [
        (20, ["your program"]),
        (196, ["axum, tower"]),
        (372, ["your tests"]),
        (548, ["your shell"]),
    ]:
        p.box(x, 16, 132, 36, lines, "info")
    p.box(196, 84, 132, 46, [("redis-rest-tower", "ink b s"), ("session store", "soft s")])
    p.box(372, 84, 132, 46, [("redis-rest-testing", "ink b s"), ("fake server, faults", "soft s")])
    p.box(548, 84, 132, 46, [("redis-rest-cli", "ink b s"), ("serve, doctor, repl", "soft s")])
    for x in (262, 438, 614):
        p.path(f"M{x} 52V82")
    p.path("M86 52V164")
    p.path("M262 130V164")
    p.path("M438 130V164")
    p.path("M570 130V148H480V164")

    p.rect(20, 166, 484, 300, "plain")
    p.text(36, 190, "redis-rest", "ink b")
    p.box(36, 204, 216, 44, [("SessionManager", "ink b s"), ("cache, outbox, journal", "soft s")], "paper")
    p.box(36, 276, 216, 44, [("SessionStore", "ink b s"), ("Redis, or memory", "soft s")], "paper")
    p.box(272, 204, 216, 44, [("Client", "ink b s"), ("commands, pipelines, scripts", "soft s")], "paper")
    p.box(272, 276, 216, 44, [("Backend", "ink b s"), ("executes commands", "soft s")], "paper")
    p.path("M144 248V274")
    p.path("M252 298H262V226H270")
    p.path("M380 248V274")
    p.box(36, 350, 96, 44, [("Failover", "ink b s"), ("over both", "soft s")], "paper")
    p.box(152, 350, 160, 44, [("REST", "ink b s"), ("retries, batches", "soft s")], "paper")
    p.box(328, 350, 160, 44, [("native (feature)", "ink b s"), ("TCP, Cluster, Sentinel", "soft s")], "paper")
    p.path("M330 320V334H232V348")
    p.path("M420 320V348")
    p.path("M300 320V328H86V348")
    p.path("M132 372H150", "soft", True, True)
    p.path("M84 394V460H408V396", "soft", True, True)
    p.box(152, 414, 160, 40, [("Transport: hyper, fetch,", "soft s"), ("reqwest, or yours", "soft s")], "paper")
    p.path("M232 394V412")

    p.rect(524, 166, 156, 300, "plain")
    p.text(602, 190, "redis-rest-server", "ink b s", "middle")
    p.box(532, 204, 140, 60, [("REST server", "ink b s"), ("in front of any", "soft s"), ("Backend", "soft s")], "paper")
    p.box(532, 350, 140, 60, [("MemoryBackend", "ink b s"), ("an embedded engine", "soft s"), ("with real Lua", "soft s")], "paper")
    p.path("M602 264V348")
    p.path("M640 130V164")
    p.path("M504 107H514V196H522")

    p.box(20, 506, 424, 44, [("any REST server", "ink b s"), ("Upstash, redis-rest serve, SRH …", "soft s")], "info")
    p.box(460, 506, 220, 44, [("Redis or Valkey", "ink b s"), ("one, Sentinel, Cluster", "soft s")], "info")
    p.path("M232 454V504", "blue")
    p.text(240, 488, "HTTP", "blue s")
    p.path("M470 394V504", "blue")
    p.text(478, 488, "TCP", "blue s")
    return p


def outage():
    p = Picture(590, "An outage, call by call")
    p.text(20, 32, "An outage, call by call", "ink h")
    p.text(680, 32, "times: cargo run --example outage", "soft s", "end")
    x, top = 92, 56
    rows = [
        ("good", "13 ms", "create_session(ada), twice", "Durable", "green", "the store has them"),
        (None, "13 ms", "Redis becomes unavailable", None, None, None),
        ("bad", "288 ms", "create_session(ada)", "Pending", "amber", "this call finds out: the breaker opens"),
        ("bad", "288 ms", "update_session(first)", "Pending", "amber", "from here on no call waits"),
        ("bad", "288 ms", "cleanup_session(second)", "Pending", "amber", "the deletion will win"),
        ("bad", "288 ms", "list_sessions(ada)", "2 sessions", "green", "from memory; these three calls took 189 µs"),
        ("bad", "288 ms", "get_session(another's)", "Unavailable", "red", "never “not found”"),
        (None, "288 ms", "Redis is back", None, None, None),
        ("warn", "427 ms", "get_session(third)", "the session", "green", "this call probes, and sends what is pending"),
        ("good", "428 ms", "store.list_sessions(ada)", "2 sessions", "green", "the third one is there, and the change"),
        ("good", "430 ms", "store.exists(second)", "false", "green", "the deletion won"),
    ]
    y = top
    for state, time, call, result, ink, note in rows:
        height = 46 if state else 34
        p.text(82, y + 20, time, "soft s", "end")
        if state is None:
            p.path(f"M{x} {y + 16}H680", "soft", False, True)
            p.rect(124, y + 4, 210, 24, "plain", 12)
            p.text(229, y + 20, call, "ink b s", "middle")
        else:
            p.rect(x, y, 8, height, BARS[state], 0, False)
            p.text(124, y + 20, call, "ink m")
            p.text(330, y + 20, "→", "soft")
            p.text(352, y + 20, result, f"{ink} b")
            p.text(352, y + 37, note, "soft s")
        y += height
    for index, (fill, label) in enumerate([
        ("good", "the store works"), ("bad", "unavailable: the breaker is open"), ("warn", "one probe"),
    ]):
        at = [124, 262, 500][index]
        p.rect(at, y + 18, 14, 14, BARS[fill], 2)
        p.text(at + 22, y + 30, label, "soft s")
    return p


def outcomes():
    p = Picture(542, "Where a request can be lost, and what each error says")
    p.text(20, 32, "Where a request can be lost", "ink h")
    client, server, redis = 70, 250, 420
    for x, label in [(client, "your program"), (server, "proxy, server"), (redis, "Redis")]:
        p.box(x - 55, 52, 110, 32, [(label, "ink b s")], "info")
        p.path(f"M{x} 84V482", "soft", False, True)
    p.text(500, 72, "the error says", "ink b s")
    rows = [
        ("no connection, wrong name", "NotApplied", "green", [(client, 150, None)], "lost"),
        ("wrong token, rate limit", "NotApplied", "green", [(client, server, "back")], None),
        ("WRONGTYPE, LOADING", "NotApplied", "green", [(client, redis, "back")], None),
        ("the request is lost on the way", "MaybeApplied", "amber", [(client, 335, None)], "lost"),
        ("it ran, and the reply is lost", "MaybeApplied", "amber", [(client, redis, None), (redis, 335, None)], "lost"),
        ("a page of HTML, a timeout", "MaybeApplied", "amber", [(client, server, "back")], "unknown"),
        ("a reply of another type", "Applied", "blue", [(client, redis, "back")], None),
    ]
    y = 112
    fills = {"green": "good", "amber": "warn", "blue": "info"}
    for note, outcome, ink, legs, end in rows:
        line = y + 6
        for start, stop, back in legs:
            p.path(f"M{start} {line}H{stop - 3 if stop > start else stop + 3}", "ink")
            if back:
                line += 14
                p.path(f"M{stop} {line}H{start + 3}", ink)
            if end == "lost" and (start, stop, back) == legs[-1]:
                p.cross(stop + (10 if stop > start else -10), line)
            if len(legs) > 1:
                line += 14
        if end == "unknown":
            p.text(335, y + 17, "?", "amber h", "middle")
        p.rect(500, y - 10, 118, 24, fills[ink], 12)
        p.text(559, y + 7, outcome, f"{ink} b s", "middle")
        p.text(500, y + 29, note, "soft s")
        y += 54
    p.text(20, 508, "No client can tell the three cases of MaybeApplied apart. Reads and repeatable writes are sent", "soft s")
    p.text(20, 526, "again; for other commands, the error leaves the decision to you.", "soft s")
    return p


def session_life():
    p = Picture(470, "The life of a session")
    p.text(20, 32, "The life of a session", "ink h")
    p.box(40, 96, 150, 52, [("create", "ink b")], "info")
    p.box(290, 76, 170, 52, [("Durable", "green b"), ("the store has it", "soft s")], "good")
    p.box(290, 220, 170, 52, [("Pending", "amber b"), ("in memory, in the journal", "soft s")], "warn")
    p.box(530, 148, 150, 52, [("Superseded", "blue b"), ("theirs stands", "soft s")], "info")
    p.box(290, 348, 170, 52, [("ended", "red b"), ("deletes win", "soft s")], "bad")
    p.box(40, 348, 150, 52, [("remembered", "ink b"), ("at least a minute", "soft s")])
    p.box(530, 348, 150, 52, [("late copies", "ink b"), ("change nothing", "soft s")])

    p.path("M190 112H288", "green")
    p.text(238, 104, "store works", "soft s", "middle")
    p.path("M150 148V246H288", "amber")
    p.text(160, 238, "store unavailable", "soft s")
    p.path("M340 76V50H410V74", "green")
    p.text(420, 60, "change, use: the time to live slides", "soft s")
    p.path("M340 128V218", "amber")
    p.text(332, 170, "change,", "soft s", "end")
    p.text(332, 186, "unavailable", "soft s", "end")
    p.path("M410 220V130", "green")
    p.text(418, 170, "recovery:", "soft s")
    p.text(418, 186, "sent", "soft s")
    p.path("M460 246H605V202", "blue")
    p.text(536, 264, "another writer was", "soft s", "start")
    p.text(536, 280, "later", "soft s", "start")
    p.path("M605 148V102H462", "green")
    p.text(612, 124, "read again", "soft s")
    p.path("M375 272V346", "red")
    p.text(383, 312, "delete, log-out, or its time is over: from any state", "soft s")
    p.path("M290 374H192", "soft")
    p.path("M115 400V440H20V122H38", "soft")
    p.text(28, 456, "then the id is free again", "soft s")
    p.path("M530 374H462", "red", True, True)
    p.text(40, 300, "Durability says how far", "soft s")
    p.text(40, 317, "each change has come.", "soft s")
    return p


def badge(label, value):
    """A badge of two halves; no network is asked for it."""
    left, right = 9 + 7 * len(label), 11 + 7 * len(value)
    width = left + right
    text = "font:11px Verdana,'DejaVu Sans',sans-serif;fill:#fff"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img">\n'
        f"<title>{label}: {value}</title>\n"
        f'<rect width="{width}" height="20" rx="3" fill="#555"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{left}z" fill="#0969da"/>\n'
        f'<text x="{left / 2}" y="14" text-anchor="middle" style="{text}">{label}</text>'
        f'<text x="{left + right / 2}" y="14" text-anchor="middle" style="{text}">{value}</text>\n</svg>\n'
    )
