"""What of a user's own does not fit is told before anything is trained; what fits is used."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from rich.console import Console
from tiny_task import spec, task

from cnn_jax import (
    Augment,
    Checkpoints,
    Data,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
    UserError,
    train,
)
from cnn_jax.optimisation.optimizers import make_optimizer
from cnn_jax.optimisation.schedules import make_schedule, rates
from cnn_jax.tasks import TASKS, headline, make_task, metric_that_counts, resolved
from cnn_jax.tasks.own_functions import own_metrics
from cnn_jax.training.evaluator import make_model
from cnn_jax.training.own_checks import check_own_model

QUIET = Console(quiet=True)


class Plain(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


class NoTrain(Plain):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


class Wrong(Plain):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(7)(x)


class Pair(Plain):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(3)(x), x


class Collects(Plain):
    @nn.compact
    def __call__(self, x, *, train=False):
        self.variable("cache", "seen", jnp.zeros, ())
        return nn.Dense(3)(x.reshape(len(x), -1))


class Noisy(Plain):
    @nn.compact
    def __call__(self, x, *, train=False):
        noise = jax.random.normal(self.make_rng("noise"), x.shape) if train else 0
        return nn.Dense(3)((x + noise).reshape(len(x), -1))


class Always(Plain):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(3)(nn.BatchNorm(use_running_average=False)(x.reshape(len(x), -1)))


class Needs(Plain):
    depth: int = dataclasses.field(kw_only=True)


class Nnx(nnx.Module):
    pass


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Nnx, "model .*Nnx is of flax.nnx, which keeps its parameters in itself"),
        (dict, "is a class that is no flax.linen.Module"),
        (lambda x: x, "is a function that is no flax.linen.Module"),
        (Plain(3), r"give the class, and its fields as options: Model\(Plain\)"),
        (NoTrain, r"__call__\(x\) does not take `train`"),
        (Wrong, r"gives outputs \(b, 2, 2, 7\); expected are \(b, 3\)"),
        (Pair, r"gives a tuple; expected is one array \(b, 3\)"),
        (Collects, r"the collection 'cache'; only params and batch_stats"),
        (Noisy, "in training there is the stream 'dropout'"),
        (Always, "changes variables that it may not change: in training those of batch_stats"),
        (Needs, "needs a value for depth"),
    ],
)
def test_a_model_that_does_not_fit_is_told_in_a_sentence(model, sentence):
    recipe = Recipe("x", model=Model(model))
    made = task(model=recipe.model)
    with pytest.raises(UserError, match=sentence):
        check_own_model(recipe, made, make_model(recipe, made))


def test_a_model_needs_no_dtype():
    recipe = Recipe("x", model=Plain)
    made = task(model=recipe.model)
    check_own_model(recipe, made, make_model(recipe, made))
    with pytest.raises(UserError, match="has no field dtype"):
        make_model(Recipe("x", model=Model(Plain, dtype="bfloat16")), made)


def mean_loss(logits, targets):
    return optax.softmax_cross_entropy(logits, targets).mean()


def one_argument(logits):
    return logits


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (Loss(mean_loss), r"gives the shape \(\) for a batch of 2 .*expected is one value an"),
        (Loss(one_argument), r"is called with \(outputs, targets\), which fails: too many"),
        (Loss(mean_loss, options={"gamma": 1}), "gamma=1.*unexpected keyword argument 'gamma'"),
    ],
)
def test_a_loss_that_does_not_fit_is_told_in_a_sentence(loss, sentence):
    outputs = jnp.zeros((2, 3))
    with pytest.raises(UserError, match=sentence):
        task(loss=loss).own_loss()(outputs, outputs)


def test_nothing_is_written_where_own_code_does_not_fit(tmp_path):
    images = np.zeros((40, 2, 2), np.uint8)
    images[:20] = 255
    recipe = Recipe("x", data=(images, images[:, 0, 0] // 255), model=Plain, batch_size=8)
    for wrong in (
        {"loss": Loss(mean_loss)},
        {"metrics": (one_argument,)},
        {"model": Model(Wrong)},
        {"optimizer": Optimizer(lambda rate: 1.0)},
        {"augment": Augment(own=lambda key, images: images[:, :1])},
    ):
        with pytest.raises(UserError, match="test_own_parts"):
            train(dataclasses.replace(recipe, **wrong), tmp_path / "run", console=QUIET)
    assert not (tmp_path / "run").exists()


def test_an_own_loss_is_the_task_s():
    found = task(loss=Loss(lambda logits, targets: 3 * targets[:, 0])).own_loss()
    np.testing.assert_array_equal(found(jnp.zeros((2, 3)), jnp.ones((2, 3))), [3, 3])


def test_an_own_optimizer_is_a_function_of_the_rate():
    made = make_optimizer(Optimizer(lambda rate: optax.sgd(rate)), lambda step: 0.5)
    update, _ = made.update({"w": jnp.ones(())}, made.init({"w": jnp.ones(())}))
    assert update["w"] == -0.5
    with pytest.raises(UserError, match=r"gives a float; expected is an optax.GradientTransform"):
        make_optimizer(Optimizer(lambda rate: 1.0), lambda step: 0.5)
    with pytest.raises(UserError, match="is neither a name, nor a class or function"):
        Optimizer(optax.sgd(0.1))


def test_an_own_schedule_is_the_rate_or_makes_it():
    itself = make_schedule(Schedule(lambda step: 0.2 / (1 + step)), 0.1, 10, int)
    np.testing.assert_allclose(rates(itself, 2), [0.2, 0.1])
    scaled = Schedule(lambda peak, steps: optax.linear_schedule(peak, 0.0, steps))
    np.testing.assert_allclose(rates(make_schedule(scaled, 2.0, 4, int), 3), [2, 1.5, 1])
    with pytest.raises(UserError, match=r"--optimizer.learning-rate 0.3 has no place"):
        make_schedule(Schedule(lambda step: 0.2), 0.3, 10, int)
    with pytest.raises(UserError, match=r"schedule.warmup has no place"):
        make_schedule(Schedule(lambda step: 0.2, warmup=2), 0.1, 10, int)


def test_an_own_augmentation_keeps_the_shape():
    made = task(augment=Augment(own=lambda key, images: images[:, :1]))
    key, places = jax.random.key(0), jnp.zeros(2, jnp.int32)
    with pytest.raises(UserError, match=r"gives \(2, 1, 2, 1\) float32 for images \(2, 2, 2, 1\)"):
        made.training_batch(key, key, jnp.zeros((2, 2, 2, 1), jnp.uint8), places, places, places)


class Doubled(TASKS["classification"]):
    LOSSES = ("twice",)

    def loss(self, apply, batch, key):
        return 2 * jnp.sum(apply(batch.inputs) * batch.targets, -1), {}


def test_an_own_task_takes_the_place_of_one_that_is_here():
    recipe = Recipe("x", task=Doubled)
    made = make_task(recipe, spec())
    assert made.recipe.loss.name == "twice"
    assert headline(recipe, {"accuracy": 0.5}) == "accuracy 50.00%"
    with pytest.raises(UserError, match=r"task .*Plain lacks answers, check, choose and 19 more;"):
        make_task(Recipe("x", task=Task(Plain)), spec())


def higher_is_better(outputs, targets):
    return outputs[:, 0]


higher_is_better.higher = True


def test_an_own_metric_may_be_the_one_that_counts():
    for metric, higher in ((mean_loss, False), (higher_is_better, True)):
        recipe = Recipe("x", metrics=(metric,), checkpoints=Checkpoints(metric=metric.__name__))
        found = metric_that_counts(recipe)
        assert (found.name, found.higher) == (metric.__name__, higher)
    assert headline(recipe, {"higher_is_better": 0.5}) == "higher_is_better 0.5000"
    with pytest.raises(UserError, match="did you mean 'mean_loss'"):
        resolved(Recipe("x", metrics=(mean_loss,), checkpoints=Checkpoints(metric="mean_los")))
    with pytest.raises(UserError, match="has no name; write it as a function of its own"):
        own_metrics(Recipe("x", metrics=(lambda outputs, targets: outputs[:, 0],)))


def test_a_copy_of_a_recipe_has_its_code():
    recipe = Recipe("x", model=Plain, loss=mean_loss)
    assert copy.deepcopy(recipe).model.name.value is Plain
    assert dataclasses.replace(recipe, seed=1).loss.name.value is mean_loss


def test_numbers_are_epochs():
    recipe = Recipe("x", data="digits", duration=3, validate_every="20 steps")
    assert (str(recipe.duration), str(recipe.validate_every)) == ("3 epochs", "20 steps")
    assert recipe.data == Data("digits")
