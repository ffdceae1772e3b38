"""Styles of the rows in the pictures of questions."""

from nmt.lab.plots.questions import style


def test_no_two_rows_of_a_table_look_alike() -> None:
    looks = [tuple(style(row)[name] for name in ("color", "marker", "linestyle")) for row in range(40)]
    assert len(set(looks)) == 40
    assert style(10)["color"] == style(0)["color"]
