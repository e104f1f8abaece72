"""Tables fit the terminal, and lose what they are told to lose first."""

from cnn_jax.commands.output import print_rows
from cnn_jax.commands.table import Column, fitted

COLUMNS = [
    Column("run", ["runs/a_long_name", "runs/b"]),
    Column("paper", ["He et al. 2015, https://arxiv.org/abs/1512.03385", "none"], wraps=True),
    Column("seconds", ["1,234", "5"], numbers=True),
]


def test_a_pipe_gets_all():
    assert fitted(COLUMNS, ["seconds"], None) == (COLUMNS, [16, 48, 7])


def test_words_take_more_lines_before_a_column_is_left_out():
    shown, widths = fitted(COLUMNS, ["seconds", "paper"], 70)
    assert shown == COLUMNS
    assert widths == [16, 43, 7]
    shown, widths = fitted(COLUMNS, ["seconds", "paper"], 58)
    assert [column.name for column in shown] == ["run", "paper"]
    assert widths == [16, 40]
    assert fitted(COLUMNS, ["seconds", "paper"], 10) == ([COLUMNS[0]], [16])


def test_what_is_left_out_is_said_and_no_word_is_broken(monkeypatch, capsys):
    rows = [
        {"run": f"runs/{i}", "paper": "Name of 2015, https://arxiv.org/abs/1512.03385", "n": 10**9}
        for i in range(2)
    ]
    monkeypatch.setenv("COLUMNS", "45")
    print_rows(rows, ("run", "paper", "n"), as_json=False, empty="", wrap=["paper"], drop=["n"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 45
    assert [line.split() for line in lines[2:4]] == [
        ["runs/0", "Name", "of", "2015,"],
        ["https://arxiv.org/abs/1512.03385"],
    ]
    assert " ".join(lines[6:]) == "left out, the terminal is narrow: n (--json has all)"
    monkeypatch.setenv("COLUMNS", "80")
    print_rows(rows, ("run", "n"), as_json=False, empty="")
    assert "1,000,000,000" in capsys.readouterr().out
