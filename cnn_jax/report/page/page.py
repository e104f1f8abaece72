"""The page of a run, one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_jax.evaluation.mask_pictures import class_colours
from cnn_jax.evaluation.measured import BOOTSTRAPS
from cnn_jax.report.page.described import DEFAULT, Asked, Described, described
from cnn_jax.report.page.libraries import chart_script, check_libraries, templates
from cnn_jax.report.page.results import by_name_table, confused_pairs
from cnn_jax.report.page.told_facts import (
    answer_of,
    changed_of,
    command_of,
    cost_of,
    data_of,
    field_words,
    kicker_of,
    recipe_says,
    state_of,
    summary_of,
    versions_of,
)
from cnn_jax.run_folder import versions
from cnn_jax.tasks import target_kind

GENERATOR = "cnn-jax report"
"""By which a page of ours is known."""

ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
)
"""What a page may load: nothing but what stands in it."""
_SERVED = f"{ALONE} 'self'; media-src data: blob:; connect-src 'self'"

_SECTIONS = {
    "results": "Results",
    "curves": "Curves",
    "classes": "By class",
    "mistakes": "Mistakes",
    "attention": "Attention",
    "trust": "Calibration",
    "data": "Data",
    "recipe": "Recipe",
    "cost": "Cost",
    "repeat": "Repeat it",
}
_PAIRS = 15


def page_of(run_folder: Path, *, extra_section: str | None = None, asked: Asked = DEFAULT) -> str:
    """The page of a run.

    Args:
      run_folder: of any task, finished or not.
      extra_section: HTML, with its own scripts and styles within it, that is put in at the top of
        the page, below its heading. It is taken as it is: nothing in it is escaped.
      asked: which examples are looked at, and how many.

    Returns:
      A whole HTML document.

    Raises:
      UserError: it is no run folder, or cannot be read; or the extra `report` is not installed.
    """
    check_libraries()
    return page(described(run_folder, asked), extra_section=extra_section)


def page(run: Described, *, extra_section: str | None = None) -> str:
    """The page of a run that is described; see `page_of`."""
    charts = [*run.curves, *run.trust]
    metrics = list(dict.fromkeys(name for each in run.results for name in each.values))
    counting = run.facts.metric.name
    metrics.sort(key=lambda name: name != counting)
    by_name = _by_name(run)
    sections = [
        (place, "True and told" if run.told and place == "mistakes" else name)
        for place, name in _SECTIONS.items()
        if place != "classes" or by_name is not None
    ]
    return whole(
        "run.html",
        title=f"{run.facts.name}: report of a run",
        policy=ALONE if extra_section is None else _SERVED,
        sections=sections,
        has_charts=bool(charts),
        run=run,
        extra=extra_section or "",
        kicker=kicker_of(run.facts),
        answer=answer_of(run),
        state=state_of(run.facts),
        summary=summary_of(run),
        metrics=metrics,
        intervals=_has_intervals(run),
        mistakes_title="True and told" if run.told else "Mistakes",
        about_intervals=_about_intervals(run),
        by_name=by_name,
        pairs=_pairs(run),
        has_mistakes=run.mistakes is None or bool(run.mistakes.cells),
        looked_note=_looked_note(run),
        texts=_kind(run) == "tokens",
        wide=_kind(run) in ("series", "sound", "clip"),
        legend=_legend(run),
        why_no_attention=_why_no_attention(run),
        trust_title="Told and true" if _numbers(run) else "Calibration",
        trust_says=_trust_says(run),
        why_no_trust=_why_no_trust(run),
        data=data_of(run.facts),
        notes=_notes(run),
        recipe_says=recipe_says(run.facts.fields),
        changed=changed_of(run.facts),
        fields=[(each.name, field_words(each.value), each.differs) for each in run.facts.fields],
        cost=cost_of(run),
        command=command_of(run.facts),
        versions=versions_of(run.facts),
    )


def whole(template: str, *, has_charts: bool, **given: Any) -> str:
    """A whole document from a template that extends `layout.html`."""
    made, package = templates(), versions()["cnn-jax"]
    source = made.loader
    assert source is not None
    style, script = (source.get_source(made, name)[0] for name in ("style.css", "page.js"))
    return made.get_template(template).render(
        generator=GENERATOR,
        style=style,
        script=script,
        vega=chart_script() if has_charts else "",
        has_charts=has_charts,
        footer=f"Written by {GENERATOR}, cnn-jax {package}. The page loads nothing from a network.",
        **given,
    )


def _by_name(run: Described) -> dict[str, Any] | None:
    first = next((each for each in run.results if each.rows), None)
    if first is None:
        return None
    heads, rows = by_name_table(first.rows)
    what = {"tag": "tag", "number": "number"}.get(heads[0], "class")
    return {"title": f"By {what}, {first.name} part", "heads": heads, "rows": rows}


def _pairs(run: Described) -> Sequence[tuple[str, ...]]:
    looked = run.looked
    if run.matrix is not None or looked is None or looked.measured is None:
        return ()
    if looked.measured.confusion is None or looked.predictions is None:
        return ()
    names = looked.predictions.about["class_names"]
    return confused_pairs(looked.measured.confusion, names, _PAIRS)


def _has_intervals(run: Described) -> bool:
    return any(value.interval for each in run.results for value in each.values.values())


def _about_intervals(run: Described) -> str:
    if _has_intervals(run):
        return (
            f"Intervals are of {BOOTSTRAPS:,} bootstraps over examples: what another draw of as "
            "many examples would give of this one net. They do not say how another seed would do, "
            "and there is none where all examples are told alike."
        )
    return f"Without intervals: {run.results[0].why}." if run.results else ""


def _looked_note(run: Described) -> str:
    if run.looked is None:
        return ""
    if run.looked.name == "validation" and any(each.name == "test" for each in run.results):
        return (
            "These are of the validation part, so that the test part stays unseen; "
            "cnn-jax report --split test looks at it."
        )
    return f"These are of the {run.looked.name} part."


def _kind(run: Described) -> str:
    return "image" if run.facts.spec is None else run.facts.spec.input_kind


def _numbers(run: Described) -> bool:
    return bool(run.trust) and run.trust[0].title.startswith("told and true")


def _legend(run: Described) -> list[tuple[str, str]]:
    if run.examined is None or target_kind(run.examined.restored.recipe) != "mask":
        return []
    spec = run.examined.restored.spec
    colours = ["#{:02x}{:02x}{:02x}".format(*each) for each in class_colours(spec).tolist()]
    return list(zip(spec.class_names, colours, strict=True))


def _why_no_attention(run: Described) -> str:
    if run.told:
        return "of boxes and masks see what is true and told above"
    return run.left_out.get("attention", run.left_out.get("examples", ""))


def _trust_says(run: Described) -> str:
    part = run.results[0].name if run.results else ""
    return " ".join(each.says for each in run.trust) + f" Of the {part} part."


def _why_no_trust(run: Described) -> str:
    if not run.results:
        return "nothing has been evaluated yet"
    return run.results[0].why or "what is told has no probabilities"


def _notes(run: Described) -> list[str]:
    spec = run.facts.spec
    notes = [] if spec is None else list(spec.notes)
    if run.examined is not None:
        notes += run.examined.judged.notes
    return notes
