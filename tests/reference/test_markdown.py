import pytest

from reference.markdown import amount, table, whole_page


def test_cells_are_one_line_without_a_bar():
    assert table(("a", "b"), [("x|y", "two\nlines")]) == "| a | b |\n| --- | --- |\n| x\\|y | two lines |"


def test_a_table_without_rows_is_left_out():
    assert whole_page("Title", table(("a",), []), "text").count("\n\n") == 2


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("state_bytes", 65_536, "65,536 (64 KiB)"),
        ("MAX_WASM_BYTES", 32 * 1024**2, "33,554,432 (32 MiB)"),
        ("log_bytes", 1_000, "1,000"),
        ("fuel", 1_024, "1,024"),
        ("pause_seconds", 0.2, "0.2"),
    ],
)
def test_bytes_are_shown_in_the_largest_unit_that_divides_them(name, value, shown):
    assert amount(name, value) == shown


def test_prose_is_wrapped_and_tables_are_not():
    long = "word " * 50
    prose, row = whole_page("Title", long, table(("a",), [(long,)])).split("| a |")
    assert max(map(len, prose.splitlines())) <= 120
    assert max(map(len, row.splitlines())) > 120
