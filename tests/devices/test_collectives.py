"""Collective operations read from the text of programs."""

import json
import os
import subprocess
import sys

import pytest

from cnn_jax.devices.collectives import collectives

HEAD = "HloModule jit_step, is_scheduled=true, num_partitions=8\n"


@pytest.mark.parametrize(
    ("line", "kind", "size"),
    [
        ("%a = f32[6,5]{1,0} all-reduce(%x), replica_groups={}, to_apply=%add", "all-reduce", 120),
        (
            "%a = (f32[6]{0}, bf16[5,30]{1,0:T(8,128)(2,1)}, /*index=2*/f32[]) all-reduce(%x, %y, "
            "/*index=2*/%z), replica_groups={{0,1,2,3}}",
            "all-reduce",
            24 + 300 + 4,
        ),
        ("ROOT %a = f32[400,120]{1,0} all-gather(%x), dimensions={0}", "all-gather", 192_000),
        ("%a = f32[10]{0} reduce-scatter(%x), replica_groups={{0,1},{2,3}}", "reduce-scatter", 80),
        ("%a = f32[10]{0} reduce-scatter(%x), replica_groups=[2,4]<=[8]", "reduce-scatter", 160),
        (
            "%a = f32[10]{0} reduce-scatter(%x), replica_groups=mesh['data'=2,'fsdp'=3] {'fsdp'}",
            "reduce-scatter",
            120,
        ),
        ("%a = f32[10]{0} reduce-scatter(%x), replica_groups={}", "reduce-scatter", 320),
        ("%a = s8[4,4]{1,0} collective-permute(%x)", "collective-permute", 16),
        ("%a = (pred[3]{0}, pred[3]{0}) all-to-all(%x, %y)", "all-to-all", 6),
        ("%a = s4[3]{0} all-gather(%x)", "all-gather", 2),
        ("%a = f8e4m3fn[7]{0} all-gather(%x)", "all-gather", 7),
    ],
)
def test_one_operation(line, kind, size):
    assert collectives(HEAD + "  " + line) == {kind: (1, size)}


@pytest.mark.parametrize(
    ("started", "kind", "size"),
    [
        ("f32[10]{0} all-reduce-start(%x)", "all-reduce", 40),
        (
            "(f32[2]{0}, f32[8]{0}) all-gather-start(%x), replica_groups=[2,4]<=[8]",
            "all-gather",
            32,
        ),
        (
            "((f32[2]{0}, f32[3]{0}), (f32[8]{0}, f32[12]{0})) all-gather-start(%x, %y), "
            "replica_groups=[2,4]<=[8]",
            "all-gather",
            80,
        ),
        ("((f32[8]{0}), f32[1]{0}) reduce-scatter-start(%x)", "reduce-scatter", 32),
        (
            "(f32[5]{0}, f32[5]{0}, u32[], u32[]) collective-permute-start(%x)",
            "collective-permute",
            20,
        ),
    ],
)
def test_an_operation_in_two_instructions_counts_once(started, kind, size):
    text = f"{HEAD}  %s = {started}\n  %d = f32[8]{{0}} {kind}-done(%s)\n"
    assert collectives(text) == {kind: (1, size)}


def test_operations_add_up_and_other_lines_do_not_count():
    text = HEAD + "\n".join(
        [
            "  %all-reduce.1 = f32[2]{0} all-reduce(%x), replica_groups={}",
            "  %all-reduce.2 = f32[3]{0} all-reduce(%y), replica_groups={}",
            "  %tuple = f32[3]{0} get-tuple-element(%all-reduce.2), index=0",
            '  %name = f32[9]{0} add(%x, %y), metadata={op_name="all-reduce(x)"}',
        ]
    )
    assert collectives(text) == {"all-reduce": (2, 20)}
    assert collectives("HloModule nothing") == {}


PROGRAM = """
import json

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec as P

from cnn_jax.devices.collectives import collectives

mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "fsdp"))


def step(x):
    whole = jax.lax.all_gather(x, "fsdp", tiled=True)
    turned = jax.lax.ppermute(x, "fsdp", [(i, (i + 1) % 4) for i in range(4)])
    part = jax.lax.psum_scatter(whole, "fsdp", tiled=True)
    swapped = jax.lax.all_to_all(x, "fsdp", 0, 0, tiled=True)
    return jax.lax.psum((turned + swapped + part).sum(), ("data", "fsdp"))


mapped = jax.shard_map(step, mesh=mesh, in_specs=P(("data", "fsdp")), out_specs=P())
program = jax.jit(mapped).lower(jax.ShapeDtypeStruct((64,), "float32")).compile()
print(json.dumps(collectives(program.as_text())))
"""


def test_a_compiled_program():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    # Eight numbers a device, 32 with those of the others.
    assert found == {
        "all-reduce": [1, 4],
        "all-gather": [1, 128],
        "reduce-scatter": [1, 128],
        "collective-permute": [1, 32],
        "all-to-all": [1, 32],
    }
