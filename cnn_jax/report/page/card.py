"""A model card of a run in Markdown, of the same facts as its page."""

from __future__ import annotations

from cnn_jax.report import tables
from cnn_jax.report.page.described import Described
from cnn_jax.report.page.libraries import templates
from cnn_jax.report.page.page import GENERATOR
from cnn_jax.report.page.results import by_name_table
from cnn_jax.report.page.told_facts import (
    answer_of,
    changed_of,
    command_of,
    cost_of,
    data_of,
    kicker_of,
    recipe_says,
    state_of,
    summary_of,
    versions_of,
)

_SIGNS = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>|#"})


def card(run: Described) -> str:
    """A model card.

    Args:
      run: as it is described for the page.

    Returns:
      Markdown, in which names of a user's data cannot be taken for marks.

    Raises:
      UserError: the extra `report` is not installed.
    """
    first = next((each for each in run.results if each.rows), None)
    by_name = ""
    if first is not None:
        heads, rows = by_name_table(first.rows)
        by_name = _table(heads, [[cell.text for cell in row] for row in rows])
    metrics = dict.fromkeys(name for each in run.results for name in each.values)
    heads = ["metric"]
    for each in run.results:
        heads += [each.name, "95 % interval"]
    rows_ = [
        [
            name.replace("_", " "),
            *(
                text
                for each in run.results
                for text in (
                    (each.values[name].text, each.values[name].interval)
                    if name in each.values
                    else ("", "")
                )
            ),
        ]
        for name in metrics
    ]
    facts = run.facts
    return templates().get_template("card.md").render(
        generator=GENERATOR,
        name=_plain(facts.name),
        kicker=_plain(kicker_of(facts)),
        answer=answer_of(run),
        state=_plain(state_of(facts)),
        summary=_pairs(summary_of(run)),
        results=_table(heads, rows_) if rows_ else "",
        by_name=by_name,
        by_name_of="" if first is None else first.name,
        data=_pairs(data_of(facts)),
        notes=[_plain(each) for each in (facts.spec.notes if facts.spec else ())],
        recipe_says=recipe_says(facts.fields),
        changed=_table(["field", "here", "default"], [list(each) for each in changed_of(facts)]),
        cost=_pairs(cost_of(run)),
        command=command_of(facts),
        fence="`" * max(3, _longest(command_of(facts), "`") + 1),
        versions=_pairs(versions_of(facts)),
    )  # fmt: skip


def _plain(text: str) -> str:
    """A text without marks of Markdown or HTML, in one line."""
    return " ".join(text.split()).translate(_SIGNS)


def _pairs(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_plain(name), _plain(value)) for name, value in pairs]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    cells = [[" ".join(cell.split()).translate(_SIGNS) for cell in row] for row in rows]
    # Bars are escaped above, and once is enough.
    bare = [[cell.replace("\\|", "|") for cell in row] for row in cells]
    return tables.markdown(heads, bare, [place > 0 for place in range(len(heads))])


def _longest(text: str, sign: str) -> int:
    longest = run = 0
    for each in text:
        run = run + 1 if each == sign else 0
        longest = max(longest, run)
    return longest
