"""Rules of the project: versions, dependencies, structure, license."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.support.documents import DOCUMENTS
from tests.support.paths import ROOT
from tests.support.setup_cfg import requirements, setup

PACKAGES = ("data", "models", "pipelines")
SOURCES = [
    *(file for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")),
    *ROOT.glob("train.py"),
]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def pins() -> dict[str, str]:
    """Return the locked versions; fail on a line that is not a name and a version."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    matches = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
    return {match[1]: match[2] for match in matches if match}


def imported(file: Path) -> set[str]:
    """Return the top-level names of all imports of a module, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the name of each function and its number of lines without the docstring."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            yield node.name, lines


def module_name(file: Path) -> str:
    """Return the dotted name of a source file: "data.media.images"."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the modules that each module imports, at any depth, among those given."""
    graph = dict[str, set[str]]()
    for module, text in sources.items():
        found = set[str]()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module and not node.level, f"{module}: relative import"
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                # `from package import name` imports the package only if the name is not a module.
                found |= names & sources.keys() or {node.module}
        graph[module] = found & sources.keys()
    return graph


@pytest.mark.parametrize("entry", ["train.main", "pipelines.cli.main.run"])
def test_command_line_is_light(entry: str) -> None:
    module, function = entry.rsplit(".", 1)
    script = f"""
import contextlib, sys
from {module} import {function}
with contextlib.suppress(SystemExit):
    {function}(["--help"])
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert module in loaded
    heavy = {"tensorflow", "keras", "tensorflow_datasets", "numpy", "PIL", "matplotlib"}
    assert not heavy & loaded


@pytest.mark.parametrize(
    "key", ["install_requires", "lite", "jobs", "serve", "docs", "test", "dev"]
)
def test_lock_contains_every_requirement(key: str) -> None:
    locked = pins()
    for name, requirement in requirements(key).items():
        assert name in locked, f"{name} is not in constraints.txt: run pip-compile"
        assert requirement.specifier.contains(locked[name]), f"{requirement}: {locked[name]}"


def test_lock_is_sorted() -> None:
    assert list(pins()) == sorted(pins())


def test_build_requirement_is_locked() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert build["requires"] == [f"setuptools=={pins()['setuptools']}"]


def test_every_import_is_required_and_every_requirement_imported() -> None:
    extras = ("lite", "jobs", "serve")
    optional = {name: value for key in extras for name, value in requirements(key).items()}
    always = requirements("install_requires")
    distributions = packages_distributions()
    own = {*PACKAGES, "train"} | sys.stdlib_module_names
    used = set()
    for file in SOURCES:
        for name in imported(file) - own:
            known = {canonicalize_name(each) for each in distributions.get(name, [name])}
            assert known & (always.keys() | optional.keys()), f"{file} imports {name}: undeclared"
            used |= known
    # TensorFlow imports TensorBoard when it writes a scalar, TensorFlow Datasets imports
    # importlib_resources when it prepares a dataset of its own.
    indirect = {"tensorboard", "importlib-resources"}
    assert indirect <= always.keys()
    assert not always.keys() - used - indirect, "required, but never imported"


def test_no_document_installs_wordreel_from_an_index() -> None:
    # The name is taken on the package indexes: installation is from a checkout.
    for file in [*SOURCES, *DOCUMENTS]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"pip install [^\n`]*\bwordreel\b", text), file


def test_no_file_has_more_than_350_lines() -> None:
    lengths = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8").count("\n")
        for file in SOURCES
    }
    assert not {file: lines for file, lines in lengths.items() if lines > 350}


def test_no_function_has_more_than_60_lines() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {name}": lines
        for file in SOURCES
        for name, lines in functions(file)
    }
    assert not {name: lines for name, lines in found.items() if lines > 60}


def test_no_folder_has_more_than_14_entries() -> None:
    folders = [ROOT / "docs", *(file.parent for file in SOURCES if file.parent != ROOT)]
    for folder in {*folders, *(file.parent for file in ROOT.glob("tests/**/test_*.py"))}:
        entries = {
            each.name
            for each in folder.iterdir()
            if each.name not in ("__pycache__", "__init__.py")
        }
        assert len(entries) <= 14, (folder, sorted(entries))


def test_modules_do_not_import_each_other_in_a_cycle() -> None:
    sources = {module_name(file): file.read_text(encoding="utf-8") for file in SOURCES}
    TopologicalSorter(import_graph(sources)).prepare()  # a CycleError names the modules


def test_a_cycle_of_deferred_imports_is_found() -> None:
    sources = {"a": "from b import c", "b": "", "b.c": "def f(): import a"}
    assert import_graph(sources) == {"a": {"b.c"}, "b": set(), "b.c": {"a"}}
    with pytest.raises(CycleError):
        TopologicalSorter(import_graph(sources)).prepare()


def test_no_class_or_function_is_named_by_a_string() -> None:
    pattern = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+:\w+")
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not pattern.fullmatch(node.value), f"{file}:{node.lineno}: {node.value}"


def test_license_is_the_text_of_apache() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    ours = "Copyright 2026 The Wordreel authors"
    assert text.count(ours) == 1
    text = text.replace(ours, "Copyright [yyyy] [name of copyright owner]")
    # apache.org/licenses/LICENSE-2.0.txt
    official = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256(text.encode()).hexdigest() == official
    assert setup("metadata", "license_expression") == "Apache-2.0"


def test_version_is_the_newest_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", changelog, re.MULTILINE)
    assert versions[0] == setup("metadata", "version")


def test_ci_script_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
