"""The plot of a life, as SVG, and its numbers as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.simulation.life import Life

WIDTH: Final = 900
LEFT, RIGHT = 64, 16
PANEL, GAP, TOP = 120, 46, 40
COLOURS: Final = ("#2a6f97", "#e07a2f", "#5f8a3a")
MARKS: Final = {"kill -9": "#b0b0b0", "clock step": "#8a63b8", "outage": "#c8a200", "mass revocation": "#b3273a"}
STYLE: Final = """
text { font: 12px sans-serif; fill: #333 } .title { font-weight: bold } .axis { stroke: #999; fill: none }
.line { fill: none; stroke-width: 1.5 }
"""


def plot(life: Life) -> str:
    """Return the plot: orders, Certificates, and how close to its end any certificate came, day by day."""
    days, number = life.days, len(life.days)
    height = TOP + 3 * (PANEL + GAP) + 44

    def x(day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * day / max(1, number)

    most = _round_up(max((sum(day.orders) for day in days[2:]), default=1))
    wanted = _round_up(max((day.wanted for day in days), default=1))
    parts = [
        *_marks(life, x),
        *_panel(0, "Orders a day (the first two days are cut off)", most, number, x),
        *_bars([day.orders for day in days], most, x),
        *_panel(1, "Certificates: asked for (grey), Ready (blue), waiting for a limit (orange)", wanted, number, x),
        _line([day.wanted for day in days], wanted, 1, "#aaaaaa", x),
        _line([day.ready for day in days], wanted, 1, COLOURS[0], x),
        _line([day.waiting for day in days], wanted, 1, COLOURS[1], x),
        *_panel(2, "Lifetime left of the certificate that is closest to its end, per cent", 100, number, x),
        _line([100 * day.shortest for day in days], 100, 2, "#b3273a", x),
        *_legend(life, height),
    ]
    body = "\n".join(parts)
    title = f"{life.scenario.certificates} Certificates, {number} days"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def numbers(*lives: Life) -> str:
    """Return what came of lives, as a table in Markdown with a column for each."""
    columns = [_numbers(life) for life in lives]
    rows = [" | ".join([name, *(column[name] for column in columns)]) for name in columns[0]]
    rule = "|".join(["---"] * (len(lives) + 1))
    return "\n".join([f"| {rows[0]} |", f"|{rule}|", *(f"| {row} |" for row in rows[1:])]) + "\n"


def _numbers(life: Life) -> dict[str, str]:
    counts, scenario = life.counts, life.scenario
    return {
        "Seed": str(scenario.seed),
        "Certificates, days": f"{scenario.certificates}, {scenario.days:g}",
        "Certificates that expired": str(len(life.expired)),
        "Certificates that were never issued": str(len(life.missing)),
        "Orders beyond a limit of the CA": str(len(life.exceeded)),
        "Orders placed; without any faults": f"{life.orders}; {life.ideal} ({life.excess:+.1%})",
        **{f"At {host}": f"{placed}; {ideal}" for host, (placed, ideal) in life.by_ca.items()},
        "Requests to CAs": str(life.ca_requests),
        "Faulty answers": f"{life.struck.total()}, of {len(life.struck)} kinds",
        "Failed validations": str(life.failed_validations),
        "Certificates with an early renewal window from the CA": str(counts["called back"]),
        "Orders at a second issuer": str(counts["event FallingBack"]),
        "Kills of the operator": str(counts["restarts"]),
        "Clock jumps": str(counts["steps of the clock"]),
        "Outages": str(sum(mark.startswith(("outage", "CA down")) for _, mark in life.marks)),
        "Shortest remaining lifetime of any certificate": f"{min((day.shortest for day in life.days), default=1):.0%}",
    }


def _panel(place: int, title: str, most: float, days: int, x: Callable[[float], float]) -> list[str]:
    bottom = _bottom(place)
    months = [
        f'<text x="{x(day):.0f}" y="{bottom + 16}" text-anchor="middle">{day}</text>'
        for day in range(0, days + 1, max(1, 30 if days > 60 else 5))
    ]
    ticks = [
        f'<text x="{LEFT - 6}" y="{_y(most * share, most, place) + 4:.0f}" text-anchor="end">{most * share:g}</text>'
        for share in (0, 0.5, 1)
    ]
    return [
        f'<text class="title" x="{LEFT}" y="{bottom - PANEL - 8}">{escape(title)}</text>',
        f'<path class="axis" d="M{LEFT},{bottom - PANEL} V{bottom} H{WIDTH - RIGHT}"/>',
        *months,
        *ticks,
    ]


def _bars(days: Sequence[Sequence[int]], most: float, x: Callable[[float], float]) -> list[str]:
    found = []
    for number, orders in enumerate(days):
        below = 0
        for colour, count in zip(COLOURS, orders, strict=False):
            low, high = _y(min(below, most), most, 0), _y(min(below + count, most), most, 0)
            below += count
            if low - high > 0:
                width = x(number + 1) - x(number)
                place = f'x="{x(number):.1f}" y="{high:.1f}" width="{width:.2f}" height="{low - high:.1f}"'
                found.append(f'<rect {place} fill="{colour}"/>')
    return found


def _line(values: Iterable[float], most: float, place: int, colour: str, x: Callable[[float], float]) -> str:
    points = " ".join(f"{x(number + 1):.1f},{_y(value, most, place):.1f}" for number, value in enumerate(values))
    return f'<polyline class="line" stroke="{colour}" points="{points}"/>'


def _marks(life: Life, x: Callable[[float], float]) -> list[str]:
    found, bottom = [], _bottom(2)
    for day, mark in life.marks:
        if mark.startswith("CA down"):
            end = day + life.scenario.failing_days
            place = f'x="{x(day):.1f}" y="{TOP}" width="{x(end) - x(day):.1f}" height="{bottom - TOP}"'
            found.append(f'<rect {place} fill="#f6d5d5"/>')
    for day, mark in life.marks:
        colour = next((colour for name, colour in MARKS.items() if mark.startswith(name)), None)
        if colour is not None:
            found.append(
                f'<path d="M{x(day):.1f},{TOP} V{bottom}" stroke="{colour}" stroke-width="0.7" stroke-dasharray="2 3"/>'
            )
    return found


def _legend(life: Life, height: float) -> list[str]:
    found: list[str] = []
    hosts = list(zip(life.hosts, COLOURS, strict=False))
    for line, texts in enumerate((hosts, [*MARKS.items(), ("CA down for days", "#f6d5d5")])):
        left, y = float(LEFT), height - 40 + 20 * line
        for name, colour in texts:
            found.append(f'<rect x="{left:.0f}" y="{y}" width="10" height="10" fill="{colour}"/>')
            found.append(f'<text x="{left + 14:.0f}" y="{y + 9}">{escape(name)}</text>')
            left += 30 + 6.8 * len(name)
    return found


def _bottom(place: int) -> float:
    return TOP + PANEL + place * (PANEL + GAP)


def _y(value: float, most: float, place: int) -> float:
    return _bottom(place) - PANEL * min(value, most) / most


def _round_up(value: float) -> float:
    return next(size for size in (2, 4, 10, 20, 40, 100, 200, 400, 1000, 2000, 4000, 10_000, 100_000) if size >= value)
