"""The command that says what a training step will cost, without running it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cnn_jax.commands.output import print_fields, print_json, print_rows
from cnn_jax.commands.recipe_file import read_recipe
from cnn_jax.devices.layout import Parallel
from cnn_jax.errors import UserError
from cnn_jax.recipe import Recipe

if TYPE_CHECKING:
    from cnn_jax.data.spec import DataSpec
    from cnn_jax.training.cost_plan import Compiled, CostPlan


@dataclass(frozen=True)
class PlanCost:
    """Estimate memory, work and messages of a training step, without running it."""

    recipe: tyro.conf.Positional[Path]
    """An experiment's .py file, a run folder, or a recipe.json."""
    devices: int | None = None
    """Number of devices to plan for, which need not exist. By default --parallel.data times
    --parallel.fsdp, or all devices here."""
    parallel: Parallel = field(default_factory=Parallel)
    batch_size: int | None = None
    """Examples in a step, on all devices together. By default as in the recipe."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""
    code: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file with your own code, such as a model class, to use if it has changed, moved or been
    deleted since the run began; give the flag once for each file. The file is imported, which runs
    it."""
    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also compile the step for the devices here, and show the numbers of the compiled program
    beside the estimates."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as JSON, in bytes."""

    def __call__(self) -> None:
        """Prints the plan.

        Raises:
          UserError: the recipe cannot be read or does not fit the mesh, or the mesh is larger
            than what is to be compiled for.
        """
        import jax

        from cnn_jax.data.recipe_data import data_spec, load_data
        from cnn_jax.devices.mesh import make_mesh
        from cnn_jax.tasks import target_kind
        from cnn_jax.training.cost_plan import plan_cost

        recipe = read_recipe(self.recipe, self.code)
        if self.batch_size is not None:
            recipe = dataclasses.replace(recipe, batch_size=self.batch_size)
        mesh = make_mesh(self.parallel, jax.devices()[:1] * self._size())
        if self.compile:
            self._check_devices(mesh.size)
        spec = data_spec(
            load_data(recipe.data, self.data_dir, kind=target_kind(recipe)), recipe.preprocess
        )
        plan = plan_cost(recipe, spec, mesh.abstract_mesh)
        compiled = self._compiled(recipe, spec) if self.compile else None
        if self.json:
            print_json(_values(recipe, plan, compiled))
        else:
            _print(recipe, plan, compiled)

    def _size(self) -> int:
        import jax

        if self.devices is not None:
            if self.devices < 1:
                raise UserError(f"--devices {self.devices} must be at least 1")
            return self.devices
        if self.parallel.data is not None:
            return self.parallel.data * self.parallel.fsdp
        return jax.device_count()

    def _check_devices(self, size: int) -> None:
        import jax

        there = jax.device_count()
        if self.parallel.compile == "pmap":
            raise UserError("--compile looks at one program, and --parallel.compile pmap makes two")
        if size > there:
            raise UserError(
                f"--compile needs the {size} devices of the mesh, but there "
                f"{'are' if there > 1 else 'is'} {there}; leave it out, or have a CPU act as "
                f"{size}: XLA_FLAGS=--xla_force_host_platform_device_count={size}"
            )

    def _compiled(self, recipe: Recipe, spec: DataSpec) -> Compiled:
        import jax

        from cnn_jax.devices.mesh import batch_sharding, make_mesh, replicated
        from cnn_jax.training.cost_plan import Compiled
        from cnn_jax.training.program import Program

        devices = jax.devices()
        if self.devices is not None:
            devices = devices[: self.devices]
        mesh = make_mesh(self.parallel, devices)
        program = Program(recipe, spec, mesh, self.parallel.compile)
        n, layout = spec.examples["train"], replicated(mesh)
        if spec.streamed:
            n, layout = recipe.batch_size, batch_sharding(mesh)
        inputs, targets = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout),
            spec.examples_of(n),
        )
        program.compile_train(inputs, targets)
        assert program.compiled_step is not None
        return Compiled.of(program.compiled_step)


def _values(recipe: Recipe, plan: CostPlan, compiled: Compiled | None) -> dict[str, Any]:
    """The plan as values of JSON, sums included."""
    sums = ("devices", "state_bytes", "argument_bytes", "temporary_bytes")
    found = {
        "recipe": recipe.name,
        **dataclasses.asdict(plan),
        **{name: getattr(plan, name) for name in sums},
        "compiled": None,
    }
    if compiled is not None:
        found["compiled"] = {
            **dataclasses.asdict(compiled),
            "collectives": {kind: each._asdict() for kind, each in compiled.collectives.items()},
        }
    return found


def _print(recipe: Recipe, plan: CostPlan, compiled: Compiled | None) -> None:
    examples = plan.batch_size // plan.devices
    print_fields(
        {
            "recipe": f"{recipe.name}: {recipe.model.name} on {recipe.data.name}",
            "mesh": f"data {plan.data}, fsdp {plan.fsdp}",
            "batch": f"{plan.batch_size:,} examples, {examples:,} a device",
            "parameters": plan.parameters,
            "multiply-adds": f"{plan.multiply_adds:,} a step, "
            f"{plan.multiply_adds // plan.devices:,} a device",
        }
    )
    held = [
        ("parameters", plan.parameter_bytes),
        ("optimizer state", plan.optimizer_bytes),
        ("averages", plan.average_bytes),
        ("batch statistics", plan.batch_stats_bytes),
        ("a batch of the data set" if plan.streamed else "data set", plan.data_set_bytes),
        ("step, seed, places in the data set", plan.counter_bytes + plan.index_bytes),
    ]
    temporary = [
        ("input batch", plan.batch_bytes),
        ("activations", plan.activation_bytes),
        ("parameters made whole", plan.gathered_bytes),
        ("gradients", plan.gradient_bytes),
    ]
    traffic = [(f"{each.kind}: {each.what}", each.bytes) for each in plan.traffic]
    # Parts, then their sum beside what the compiled program has.
    groups: tuple[tuple[list[tuple[str, int]], str, str], ...] = (
        (held, "= held from step to step", "argument_bytes"),
        (temporary, "= within a step, about", "temporary_bytes"),
        (traffic, "= all-gather", "gathered_traffic_bytes"),
        ([], "= all-reduce, reduce-scatter", "reduced_bytes"),
        ([], "= other messages", "other_traffic_bytes"),
    )
    rows: list[tuple[str, int, int | None]] = []
    for parts, what, name in groups:
        rows += [(part, size, None) for part, size in parts]
        found = None if compiled is None else getattr(compiled, name)
        rows.append((what, getattr(plan, name), found))
    print_rows(
        [
            {
                "what": what,
                "a device": _size(planned),
                "compiled": None if found is None else _size(found),
            }
            for what, planned, found in rows
            if planned or found
        ],
        ("what", "a device", "compiled")[: 2 if compiled is None else 3],
        as_json=False,
        empty="",
        wrap=("what",),
    )


def _size(count: int) -> str:
    """Bytes in the unit that fits, such as `1.087 MB`."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.4g} {unit}"
