"""The documentation is correct: commands, programs, options, links, generated pages."""

from __future__ import annotations

import argparse
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from data.annotations.splits import SPLITS
from data.images.image_folder import CAPTIONS
from data.images.labeled_images import LABELS
from data.video.clip_folder import CLIPS
from docs.generate import GENERATORS, on_page_markdown
from pipelines.cli.main import parser as wordreel_parser
from pipelines.cli.train import parse
from pipelines.config.config import Config, flag
from pipelines.config.config_file import read_options
from pipelines.config.recipe import find_recipes
from pipelines.config.renamed import DATASETS, OPTIONS, RECIPES, TASK_ALIASES
from pipelines.config.task import TASKS
from tests.support.documents import DOCUMENTS, all_blocks, blocks, commands, inline_code, links
from tests.support.paths import ROOT
from tests.support.setup_cfg import requirements, setup

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]  # has old names


def names(document: Path) -> str:
    return str(document.relative_to(ROOT))


def readme_command(name: str) -> str:
    """Return the command below the marker `<!-- name -->`, which must be a single line."""
    match = re.search(rf"^<!-- {name} -->\n```sh\n([^\n]*)\n```$", README, re.MULTILINE)
    assert match, f"README.md must have one line of shell below <!-- {name} -->"
    return match[1]


def wordreel_commands() -> dict[str, argparse.ArgumentParser]:
    actions = wordreel_parser()._actions
    (subparsers,) = (each for each in actions if isinstance(each, argparse._SubParsersAction))
    return dict(subparsers.choices)


def train_options() -> set[str]:
    options = {flag(name) for name in Config.__dataclass_fields__}
    return options | {"--no-" + name.removeprefix("--") for name in options}


@pytest.mark.parametrize(
    "name, last", [("train", "python train.py"), ("test", "python -m pytest -n auto")]
)
def test_readme_command_installs_the_locked_versions(name: str, last: str) -> None:
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


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 200


def test_blocks_are_found_with_their_lines() -> None:
    text = (
        "one\n```python\na = 1\nb = 2\n```\n```sh\nls\n```\n```python\nc = 3\n```\n"
        "<!-- not run: example -->\n```python\nd = 4\n```\n"
    )
    assert list(blocks(text, "python")) == [(3, "a = 1\nb = 2\n"), (10, "c = 3\n")]
    assert [block.skipped for block in all_blocks(text)] == [False, False, False, True]


def test_every_block_is_checked_or_marked_as_not_run() -> None:
    checked = {"sh", "python", "toml"}
    output = {"text", "csv"}  # neither commands nor programs
    for document in DOCUMENTS:
        for block in all_blocks(document.read_text(encoding="utf-8")):
            known = block.skipped or block.language in checked | output
            # Programs with a name are run by test_data_service.py.
            known = known or block.language.startswith("python ")
            assert known, f"{names(document)}:{block.line}: mark it as <!-- not run: reason -->"


def test_python_in_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for document in DOCUMENTS:
        for line, code in blocks(document.read_text(encoding="utf-8"), "python"):
            exec(compile("\n" * (line - 1) + code, str(document), "exec"), {"__name__": "example"})


def test_option_files_in_documents_can_be_read(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for _, code in blocks(document.read_text(encoding="utf-8"), "toml"):
            (tmp_path / "own.toml").write_text(code, encoding="utf-8")
            assert read_options(tmp_path / "own.toml")


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_commands_in_documents_can_be_parsed(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(document):
        for option, value in pairwise(words):
            if option == "--source":
                (tmp_path / value / "images").mkdir(parents=True, exist_ok=True)
            if option == "--config":
                (tmp_path / value).parent.mkdir(parents=True, exist_ok=True)
                text = Config().to_json() if value.endswith(".json") else "seed = 2\n"
                (tmp_path / value).write_text(text)
        check_command(words)


def check_command(words: list[str]) -> None:
    """Check that a command of a page exists and that its arguments can be parsed."""
    if words[:2] in (["python", "train.py"], ["wordreel", "train"], ["wordreel", "config"]):
        parse(words[2:])
    elif words[0] == "wordreel":
        wordreel_parser().parse(words[1:])
    elif words[:2] == ["pip", "install"]:
        for word in words:
            for extra in re.findall(r"^\.\[(.+)\]$", word):
                for each in extra.split(","):
                    assert requirements(each), words
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
        assert (ROOT / f"{words[2].replace('.', '/')}.py").exists(), words
    else:
        assert words[0] in {"python3", "source", "pip", "pytest"} or words[:3] == [
            *("python", "-m", "pytest"),
        ], words


def test_the_pages_contain_examples_of_every_program() -> None:
    found = {words[0] for document in DOCUMENTS for words in commands(document)}
    assert found >= {"python", "wordreel", "pip"}


@pytest.mark.parametrize("document", PAGES, ids=names)
def test_options_and_commands_in_the_text_exist(document: Path) -> None:
    known = train_options() | {"--help", "--help-all", "--recipe", "--run-dir", "--callback"}
    known |= {"--config", "--dry-run", "--profile", "--version"}
    subcommands = wordreel_commands()
    for command in subcommands.values():
        known |= command._option_string_actions.keys()
    for code in inline_code(document):
        words = code.split()
        if words[0] == "wordreel" and words[1:] and words[1].islower():
            assert words[1] in subcommands, code
        if words[0].startswith("--"):
            options = {word.partition("=")[0] for word in words if word.startswith("--")}
            beam = {option for option in options if "_" in option or option == "--runner"}
            assert options <= known | beam, code


@pytest.mark.parametrize("document", PAGES, ids=names)
def test_train_commands_in_the_text_can_be_parsed(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for code in inline_code(document):
        words = code.split()
        if words[:2] == ["python", "train.py"] and not any(word.isupper() for word in words):
            for option, value in pairwise(words):
                if option == "--source":
                    (tmp_path / value / "images").mkdir(parents=True, exist_ok=True)
            if not {"--help", "--help-all"} & set(words):
                parse(words[2:])


def test_links_in_documents_exist() -> None:
    for document in DOCUMENTS:
        for target in links(document):
            if "://" not in target and not target.startswith("#"):
                path = document.parent / target.partition("#")[0]
                assert path.exists(), f"{names(document)} links to {target}, which does not exist"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}


def test_generated_pages_contain_every_option_command_dataset_and_recipe() -> None:
    options = GENERATORS["train_options"]()
    for name in Config.__dataclass_fields__.keys() - {"task"}:
        assert f"`{flag(name)}`" in options
    text = GENERATORS["commands"]()
    for name, command in wordreel_commands().items():
        section = text.partition(f"### wordreel {name}\n")[2].partition("\n### ")[0]
        for option in command._option_string_actions.keys() - {"-h", "--help"}:
            assert re.search(rf"`{option}[ `]", section), (name, option)
    for task in TASKS.values():
        for dataset in task.datasets:
            assert f"| `{dataset}` |" in GENERATORS["datasets"]()
    for recipe in find_recipes().values():
        assert recipe.description.strip() in GENERATORS["recipes"]()


def test_every_generator_is_used_by_a_page_and_exists() -> None:
    pages = [page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.md")]
    used = {name for page in pages for name in re.findall(r"<!-- generate: (\w+) -->", page)}
    assert used == GENERATORS.keys()
    for page in pages:
        assert "<!-- generate:" not in on_page_markdown(page)


def test_the_changelog_lists_every_renamed_option_dataset_recipe_and_task() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| `([^` ]+)[^|]*\| `([^` ]+)",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    for renamed in (OPTIONS, DATASETS, RECIPES, TASK_ALIASES):
        assert renamed.items() <= set(rows)


def test_the_page_on_tables_lists_every_accepted_name() -> None:
    listed = set(inline_code(ROOT / "docs" / "data" / "tables.md"))
    assert listed >= SPLITS.keys()
    for layout in (CAPTIONS, LABELS, CLIPS):
        for column in layout.columns.values():
            assert listed >= set(column.names)


def test_the_architecture_page_shows_the_contracts() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").replace("\\|", "|")
    for package in ("data", "models", "pipelines"):
        layers = setup(f"importlinter:contract:{package}", "layers").split("\n")
        assert f"| `{package}` | {' > '.join(filter(None, layers))} |" in text


def test_files_and_folders_on_the_architecture_page_exist() -> None:
    # The section on requests names its folder once.
    folders = [ROOT, ROOT / "pipelines" / "serving" / "server"]
    for code in inline_code(ROOT / "docs" / "architecture.md"):
        if re.fullmatch(r"\w+\.py", code):
            assert any((folder / code).exists() for folder in folders), code
        if re.fullmatch(r"(data|models|pipelines|tests)/[\w/.]+", code) and "TASK" not in code:
            assert (ROOT / code).exists(), code
