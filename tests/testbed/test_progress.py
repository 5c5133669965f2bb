from __future__ import annotations

from testbed.progress import PlainReporter


def test_plain_progress_gives_a_sign_of_life_now_and_then() -> None:
    lines: list[str] = []
    now = [100.0]
    reporter = PlainReporter(lines.append, clock=lambda: now[0], interval=15)
    with reporter.task("[1 of 2] building etcd") as task:
        task.total(40)
        for step in range(1, 41):
            now[0] += 1
            task.step(step, f"package{step}")
    assert lines == [
        "[1 of 2] building etcd ...",
        "[1 of 2] building etcd: 15 of 40, 15 s (package15)",
        "[1 of 2] building etcd: 30 of 40, 30 s (package30)",
        "[1 of 2] building etcd: done in 40 s",
    ]


def test_work_of_unknown_size_shows_what_is_done() -> None:
    lines: list[str] = []
    reporter = PlainReporter(lines.append, clock=iter(range(0, 100, 20)).__next__)
    with reporter.task("downloading") as task:
        task.step(3, "a module")
    assert lines[1] == "downloading: 3, 40 s (a module)"
