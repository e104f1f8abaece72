"""The house: every module imports only what stands before it."""

import ast
from pathlib import Path

TOP = Path(__file__).parent.parent / "cnn_jax"

# From the ground up. A room is a folder, or a module that lies at the top.
ROOMS = (
    "interruption",
    "errors",
    "file_lock",
    "output_streams",
    "terminal",
    "user_path",
    "duration",
    "json_values",
    "own",
    "recipe_of_data",
    "recipe",
    "batch",
    "layers",
    "detection",
    "devices",
    "data",
    "augment",
    "models",
    "tasks",
    "state",
    "optimisation",
    "checkpoints",
    "training",
    "code_record",
    "run_folder",
    "restored",
    "evaluation",
    "trained",
    "pretrained",
    "defaults",
    "runs",
    "inside",
    "report",
    "serve",
    "commands",
    "launch",
    "__init__",
    "__main__",
)


def module_name(file):
    parts = file.relative_to(TOP.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file):
    """The modules of this package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            # What is imported from a package may be a module of it.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in whole]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name for name in names if name.split(".")[0] == "cnn_jax"}
    return found


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


FILES = {module_name(file): file for file in sorted(TOP.rglob("*.py"))}
MODULES = set(FILES)
GRAPH = {module: imports(file) for module, file in FILES.items()}


def test_every_module_has_a_room():
    assert {room(module) for module in MODULES} == set(ROOMS)


def test_imports_lead_down():
    rank = {name: place for place, name in enumerate(ROOMS)}
    upward = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in others
        if rank[room(other)] > rank[room(module)]
    ]
    assert not upward, upward


def test_no_module_comes_back_to_itself():
    # A package's `__init__` gathers its modules, so that these must not import the package.
    done: set[str] = set()

    def visit(module, way):
        assert module not in way, " imports ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in sorted(GRAPH.get(module, ())):
                visit(other, [*way, module])
            done.add(module)

    for module in sorted(GRAPH):
        visit(module, [])


def test_nothing_imports_experiments():
    for file in FILES.values():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("experiments"), file
