"""What holds for every module, whatever it does."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import snellen
from snellen.models import MODELS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "snellen"
TESTS = ROOT / "tests"
MOST_LINES = 500
MODULES = sorted(
    found.name for found in pkgutil.walk_packages(snellen.__path__, "snellen.") if found.name != "snellen.__main__"
)
PYTHON_FILES = sorted([*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")])


def run_python(program, *flags):
    return subprocess.run(
        [sys.executable, *flags, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_walk_finds_every_file():
    files = {file for file in SOURCE.rglob("*.py") if file.name != "__main__.py"}
    assert len(MODULES) + 1 == len(files)


@pytest.mark.parametrize("name", ["snellen", *MODULES])
def test_public_names(name):
    """They are listed, sorted, there, and say what they are for."""
    module = importlib.import_module(name)
    assert module.__doc__, "a module says what is in it"
    public = getattr(module, "__all__", None)
    if public is None:
        assert not _definitions(module), "public names need __all__"
        return
    assert list(public) == sorted(public, key=_place), "in the order of ruff's RUF022"
    assert len(set(public)) == len(public)
    for entry in public:
        value = getattr(module, entry)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{entry} has no docstring"


def _place(name):
    """Constants, classes, functions; numbers within names by their value."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _definitions(module):
    tree = ast.parse(inspect.getsource(module))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def test_public_methods_have_docstrings():
    silent = []
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                silent += [
                    f"{file.relative_to(ROOT)}:{entry.lineno} {node.name}.{entry.name}"
                    for entry in node.body
                    if isinstance(entry, ast.FunctionDef)
                    and not entry.name.startswith("_")
                    and ast.get_docstring(entry) is None
                ]
    assert silent == []


def test_files_are_short():
    long = {str(file.relative_to(ROOT)): count for file in PYTHON_FILES if (count := _lines(file)) > MOST_LINES}
    assert long == {}


def _lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def test_importing_the_package_is_light():
    done = run_python(
        "import sys, snellen\n"
        "dir(snellen)\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'PIL', 'rich', 'typer'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    assert done.returncode == 0, done.stderr


def test_lazy_names_are_real():
    for name in snellen.__all__:
        assert getattr(snellen, name).__doc__
    assert set(snellen.__all__) <= set(dir(snellen))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = snellen.trian


def test_verbs_are_not_hidden_by_modules():
    """A submodule called like a verb would take its place as soon as it is imported."""
    for name in MODULES:
        importlib.import_module(name)
    assert all(
        inspect.isfunction(getattr(snellen, verb)) for verb in ("train", "evaluate", "predict", "convert", "load")
    )


STATE = """
import importlib, os, signal, sys
import numpy, torch, torchvision, rich, typer, PIL.Image
import faster_coco_eval, skimage, sklearn  # what they do to the process is theirs

def state():
    return (
        torch.get_num_threads(), torch.get_default_dtype(), torch.initial_seed(), torch.get_rng_state().tolist(),
        torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic, torch.get_float32_matmul_precision(), torch.cuda.is_initialized(),
        numpy.random.get_state()[1].tolist(), numpy.geterr(), dict(os.environ),
        signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), PIL.Image.MAX_IMAGE_PIXELS,
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES, torch.multiprocessing.get_sharing_strategy(),
    )

before = state()
for name in sys.argv[1:] or MODULES:
    importlib.import_module(name)
for number, (one, other) in enumerate(zip(before, state())):
    assert one == other, f"entry {number}: {one} became {other}"
"""


def test_imports_have_no_side_effects():
    done = run_python(f"import PIL.ImageFile\nMODULES = {MODULES!r}\n{STATE}")
    assert done.returncode == 0, done.stderr


def test_randomness_comes_from_generators():
    """Python's global generator is nobody's: what is drawn depends on seeds alone.

    Only the examination of other people's loops touches it: it puts the generator back as it was.
    """
    keepers = {f"src/snellen/doctor/examining/{name}.py" for name in ("subject", "untouched")}
    users = [
        str(file.relative_to(ROOT))
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(entry.name == "random" for entry in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random")
    ]
    assert set(users) <= keepers


def test_no_path_of_one_machine():
    """Nobody else has them."""
    # Written so that this file does not find itself.
    pattern = re.compile(r"""(?<![\w.])/(?:wo""" + r"""rk|ho""" + r"""me|ro""" + r"""ot|Us""" + r"""ers)/\w+""")
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml", ROOT / "Makefile"]
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in [*PYTHON_FILES, *(file for file in documents if file.exists())]
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_every_model_is_tested():
    """The contracts go through the whole catalogue, row by row."""
    contracts = (TESTS / "models" / "test_contracts.py").read_text(encoding="utf-8")
    assert "for entry in MODELS" in contracts
    assert len({entry.name for entry in MODELS}) == len(MODELS) > 0


def test_every_package_has_tests():
    packages = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    tested = {folder.name for folder in TESTS.iterdir() if list(folder.rglob("test_*.py"))}
    assert packages - tested == set()
