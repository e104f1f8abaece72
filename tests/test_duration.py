import pytest

from cnn_jax import Duration, UserError, epochs, examples, percent, steps


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3", epochs(3)),
        ("0.5 epochs", epochs(0.5)),
        ("1epoch", epochs(1)),
        ("500steps", steps(500)),
        ("1_000 steps", steps(1000)),
        ("1e6examples", examples(1_000_000)),
        (" 5 % ", percent(5)),
        ("12.5percent", percent(12.5)),
    ],
)
def test_text_is_read(text, duration):
    assert Duration.parse(text) == duration


@pytest.mark.parametrize("duration", [epochs(3), steps(1234567), examples(50_001), percent(0.1)])
def test_text_and_back(duration):
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize("text", ["", "steps", "-1", "3 apples", "1.2.3", "nan", "inf steps"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match="duration"):
        Duration.parse(text)


def test_steps_of_each_unit():
    def of(duration):
        return duration.steps(batch_size=100, examples=1050, total_steps=400)

    assert of(steps(7)) == 7
    assert of(epochs(2)) == 21
    assert of(examples(1000)) == 10
    assert of(percent(5)) == 20
    assert of(percent(0)) == 0
    assert of(examples(1)) == 1  # longer than nothing is at least a step


def test_percent_of_nothing_known_is_refused():
    with pytest.raises(UserError, match="percent"):
        percent(5).steps(batch_size=1, examples=1)
