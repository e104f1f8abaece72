import photos
import pytest

from cnn_jax.augment import output_shape
from cnn_jax.data import load, memory_limit
from cnn_jax.data.recipe_data import read_data
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data, Preprocess
from cnn_jax.runs.experiment import Experiment


def test_what_fits_passes():
    memory_limit.check_size("toy", 10, (4, 4, 3), max_bytes=480)


def test_what_does_not_fit_says_what_would():
    with pytest.raises(UserError, match="toy would take") as caught:
        memory_limit.check_size("toy", 1_000_000, (100, 100, 3), max_bytes=3_000_000_000)
    assert str(caught.value) == (
        "toy would take 30.00 GB as 1000000 images of 100x100x3 bytes, more than the 3.00 GB it "
        "may; give a smaller --data.image-size, at most 31"
    )
    memory_limit.check_size("toy", 1_000_000, (31, 31, 3), max_bytes=3_000_000_000)
    with pytest.raises(UserError):
        memory_limit.check_size("toy", 1_000_000, (32, 32, 3), max_bytes=3_000_000_000)


def test_no_size_is_small_enough():
    with pytest.raises(UserError, match=r"no --data\.image-size is small enough"):
        memory_limit.check_size("toy", 100, (4, 4, 3), max_bytes=299)


def test_the_default_is_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(memory_limit, "available_memory", lambda: 960)
    memory_limit.check_size("toy", 10, (4, 4, 3))
    with pytest.raises(UserError, match="half of the memory that is available"):
        memory_limit.check_size("toy", 11, (4, 4, 3))


@pytest.mark.parametrize(
    "ask",
    [
        lambda side, top: load("digits", image_size=side),
        lambda side, top: load(f"shapes:size={side}"),
        lambda side, top: load(f"folder:{top}", image_size=side),
        lambda side, top: read_data(Data(f"folder:{top}", image_size=side)),
        lambda side, top: read_data(Data(f"folder:{top}", image_size=side, streaming=True)),
        lambda side, top: read_data(Data(f"folder:{top}", image_size=8, evaluation_size=side)),
        lambda side, top: output_shape(Preprocess(size=side), (8, 8, 3)),
    ],
)
def test_sides_that_no_image_has_are_refused(ask, tmp_path):
    with pytest.raises(
        UserError, match=r"size(=| )100000 must be at most 9,433 pixels|size 100000"
    ):
        ask(100_000, photos.write_folder(tmp_path, 6))


def test_digits_that_would_not_fit(monkeypatch):
    with pytest.raises(UserError, match=r"digits would take .* 1797 images of 9000x9000x1"):
        load("digits", image_size=9000, max_bytes=10**9)


def test_a_batch_that_would_not_fit(tiny, changed, monkeypatch):
    # 64 images of 100 x 100 in four bytes a value, and of 8 x 8 in one.
    monkeypatch.setattr(memory_limit, "default_limit", lambda: 64 * (4 * 100 * 100 + 64) - 1)
    message = r"a batch of 64 images of 100x100x1 takes 0\.0 GB .* smaller --batch-size"
    with pytest.raises(UserError, match=message):
        Experiment.of(changed(tiny, {"preprocess.size": 100}))
    memory_limit.check_batch_size(64, ((8, 8, 1), 1), ((100, 99, 1), 4))


MEBIBYTE = 2**20


@pytest.fixture
def machine(tmp_path):
    """Writes files below a root that stands for /, with 1,000 MiB available on the machine."""

    def write(**files: str | int) -> None:
        for name, content in files.items():
            file = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{content}\n")

    write(proc__meminfo="MemTotal: 4096000 kB\nMemFree: 1 kB\nMemAvailable: 1024000 kB")
    write.root = tmp_path
    write.available = lambda: memory_limit.available_memory(tmp_path) / MEBIBYTE
    return write


def group(machine, path, version, limit, used, files):
    """A control group with a limit, bytes in use, and those of them that hold files."""
    names = ["memory_dot_max", "memory_dot_current", "inactive_file"]
    if version == 1:
        names = ["memory_dot_limit_in_bytes", "memory_dot_usage_in_bytes", "total_inactive_file"]
    values = [each if isinstance(each, str) else each * MEBIBYTE for each in (limit, used, files)]
    stat = f"anon 1\n{names[2]} {values[2]}\nactive_file 7"
    path = f"sys__fs__cgroup__{path}__" if path else "sys__fs__cgroup__"
    machine(**{path + names[0]: values[0], path + names[1]: values[1]})
    machine(**{path + "memory_dot_stat": stat})


V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


def test_without_groups_the_memory_is_the_machines(machine):
    assert machine.available() == 1000
    machine(proc__self__cgroup="0::/", proc__self__mountinfo=V2)
    group(machine, "", 2, "max", 900, 0)
    assert machine.available() == 1000


def test_what_a_group_holds_of_files_counts_as_free(machine):
    machine(proc__self__cgroup="0::/", proc__self__mountinfo=V2)
    group(machine, "", 2, 500, 450, 400)
    assert machine.available() == 450


def test_the_innermost_and_every_outer_group_count(machine):
    machine(proc__self__cgroup="0::/job_7/step", proc__self__mountinfo=V2)
    group(machine, "job_7", 2, 800, 100, 0)
    group(machine, "job_7__step", 2, 300, 40, 10)
    assert machine.available() == 270
    group(machine, "job_7", 2, 200, 150, 0)
    assert machine.available() == 50
    group(machine, "job_7", 2, 200, 250, 0)
    assert machine.available() == 0


def test_groups_of_the_first_version(machine):
    mounts = (
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    )
    machine(proc__self__cgroup="4:memory:/slurm/job\n1:cpu:/\n0::/", proc__self__mountinfo=mounts)
    group(machine, "memory", 1, 2**43, 3000, 0)
    group(machine, "memory__slurm", 1, 2**43, 3000, 0)
    group(machine, "memory__slurm__job", 1, 600, 500, 300)
    assert machine.available() == 400


def test_a_group_that_is_mounted_itself(machine):
    mount = V2.replace("/ /sys", "/docker/abc /sys", 1)
    machine(proc__self__cgroup="0::/docker/abc/inner", proc__self__mountinfo=mount)
    group(machine, "", 2, 400, 100, 0)
    group(machine, "inner", 2, "max", 50, 0)
    assert machine.available() == 300
    # Seen from within, the outer groups have no names.
    machine(proc__self__cgroup="0::/../../other")
    assert machine.available() == 300
