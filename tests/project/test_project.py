"""The project keeps its own promises: documents, versions, dependencies, licence."""

from __future__ import annotations

import ast
import configparser
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.cli.main import parser as wordreel_parser
from pipelines.cli.train import parse
from tests.support.documents import DOCUMENTS, blocks
from tests.support.paths import ROOT

SOURCES = [
    *(file for folder in ("data", "models", "pipelines") for file in (ROOT / folder).rglob("*.py")),
    *ROOT.glob("train.py"),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def setup(section: str, key: str) -> str:
    """Return a value of setup.cfg, without its comments."""
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser[section][key]


def requirements(key: str) -> dict[str, Requirement]:
    """Return what `install_requires`, or else the extra of that name, asks for."""
    section = "options" if key == "install_requires" else "options.extras_require"
    parsed = [Requirement(line) for line in setup(section, key).split("\n") if line]
    return {canonicalize_name(each.name): each for each in parsed if each.name != "wordreel"}


def pins() -> dict[str, str]:
    """Return the locked versions; fail on a line that is anything but a name and a version."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    matches = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
    return {match[1]: match[2] for match in matches if match}


def readme_command(name: str) -> str:
    """Return the command below the marker `<!-- name -->`, which has to be a single line."""
    match = re.search(rf"^<!-- {name} -->\n```sh\n([^\n]*)\n```$", README, re.MULTILINE)
    assert match, f"README.md must have one line of shell below <!-- {name} -->"
    return match[1]


def imported(file: Path) -> set[str]:
    """Return the top-level names of all that a module imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "name, last", [("train", "python train.py"), ("test", "python -m pytest -n auto")]
)
def test_readme_command_sets_itself_up_from_the_lock(name: str, last: str) -> None:
    make, install, work = readme_command(name).split(" && ")
    assert make == "python3 -m venv .venv"
    assert install.startswith(".venv/bin/pip install ")
    assert " -c constraints.txt " in install
    assert work == f".venv/bin/{last}"


def test_ci_runs_the_readme_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    reader = re.search(r"^line=\$\((.+)\)$", script, re.MULTILINE)
    assert reader
    assert re.search(r"^eval .*\$\{line", script, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", reader[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == readme_command("test") + "\n"


def test_blocks_are_found_where_they_stand() -> None:
    text = "one\n```python\na = 1\nb = 2\n```\n```sh\nls\n```\n```python\nc = 3\n```\n"
    assert list(blocks(text, "python")) == [(3, "a = 1\nb = 2\n"), (10, "c = 3\n")]


def test_python_in_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for document in DOCUMENTS:
        for line, code in blocks(document.read_text(encoding="utf-8"), "python"):
            exec(compile("\n" * (line - 1) + code, str(document), "exec"), {"__name__": "example"})


def test_commands_in_documents_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    lines = [line for text in texts for _, code in blocks(text, "sh") for line in code.split("\n")]
    commands = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    understood = set()
    for words in filter(None, commands):
        for option, value in pairwise(words):
            if option == "--source":
                (tmp_path / value / "images").mkdir(parents=True, exist_ok=True)
        if words[0].endswith("python") and words[1] == "train.py":
            parse(words[2:])
        elif words[0] == "wordreel":
            wordreel_parser().parse(words[1:])
        else:
            continue
        understood.add(words[0])
    assert understood >= {".venv/bin/python", "python", "wordreel"}, "README lost its examples"


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


def test_links_in_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("#"):
                path = document.parent / target.partition("#")[0]
                assert path.exists(), f"{document.name} links to {target}, which is not there"


@pytest.mark.parametrize(
    "key", ["install_requires", "lite", "jobs", "java-metrics", "serve", "test", "dev"]
)
def test_lock_holds_every_requirement(key: str) -> None:
    locked = pins()
    for name, requirement in requirements(key).items():
        assert name in locked, f"{name} is not in constraints.txt: run pip-compile"
        assert requirement.specifier.contains(locked[name]), f"{requirement}: {locked[name]}"


def test_build_is_locked_like_the_rest() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert build["requires"] == [f"setuptools=={pins()['setuptools']}"]


def test_every_import_is_required_and_every_requirement_imported() -> None:
    extras = ("lite", "java-metrics", "jobs", "serve")
    optional = {name: value for key in extras for name, value in requirements(key).items()}
    always = requirements("install_requires")
    distributions = packages_distributions()
    own = {"data", "models", "pipelines", "train"} | sys.stdlib_module_names
    used = set()
    for file in SOURCES:
        for name in imported(file) - own:
            known = {canonicalize_name(each) for each in distributions.get(name, [name])}
            assert known & (always.keys() | optional.keys()), f"{file} imports {name}: undeclared"
            used |= known
    # TensorFlow looks TensorBoard up by itself when it writes a scalar, TensorFlow Datasets
    # importlib_resources when it prepares a dataset of its own: both would fail without.
    indirect = {"tensorboard", "importlib-resources"}
    assert indirect <= always.keys()
    assert not always.keys() - used - indirect, "required, but nowhere imported"


def test_no_document_installs_a_stranger() -> None:
    # The name is not ours on any package index: installation is from a checkout.
    for file in [*SOURCES, *DOCUMENTS]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"pip install [^\n`]*\bwordreel\b", text), file


def test_no_module_outgrows_its_reader() -> None:
    lengths = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8").count("\n")
        for file in SOURCES
    }
    assert not {file: lines for file, lines in lengths.items() if lines > 400}


def test_licence_is_apache_to_the_letter() -> None:
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
