import json

import pytest

from bench.report import Figure, Goal, as_json, markdown, table

MET = Figure("a run", 12.345, "µs", "C program", 10, Goal("at most", 1.4))
MISSED = Figure("another", 1_234.5, "ms", "a compile", 5_000, Goal("at least", 5), faster=True)
SHOWN = Figure("a third", 0.5, "MiB", "nothing", 1)


@pytest.mark.parametrize(
    ("figure", "times", "verdict"), [(MET, 1.2345, "met"), (MISSED, 4.0502, "MISSED"), (SHOWN, 0.5, "")]
)
def test_a_figure_is_met_or_missed_by_its_ratio(figure, times, verdict):
    assert figure.times == pytest.approx(times, abs=1e-4)
    assert figure.verdict == verdict


def test_the_goal_itself_is_met():
    assert Figure("x", 14, "µs", "y", 10, Goal("at most", 1.4)).verdict == "met"
    assert Figure("x", 14.01, "µs", "y", 10, Goal("at most", 1.4)).verdict == "MISSED"


def test_the_table_is_aligned():
    lines = table([MET, MISSED, SHOWN]).splitlines()
    assert lines[1].split("  ")[0] == "a run"
    assert "1,234 ms" in lines[2]
    assert lines[2].endswith("at least 5   MISSED")
    assert len({line.index(word) for line, word in zip(lines[1:], ("C program", "a compile", "nothing"))}) == 1


def test_markdown_has_a_row_for_each_figure():
    assert markdown([MET]).splitlines()[2] == "| a run | 12.3 µs | C program | 10.0 µs | 1.23 | at most 1.4 | met |"


def test_json_names_the_machine():
    report = json.loads(json.dumps(as_json([MISSED, SHOWN])))
    assert {"cpu", "cores", "date", "python", "wasmtime"} <= report["machine"].keys()
    assert [figure["verdict"] for figure in report["figures"]] == ["MISSED", ""]
