"""The declaration of a dataset: what it holds, how its source is read, how examples are stored.

A new dataset is one declaration in the registry of its modality (`data.images.datasets`,
`data.video.datasets`, `data.text.datasets`) and one reader. Nothing heavy is imported here: the
command line lists the datasets.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from data.annotations.entries import Annotations, Entry
from data.annotations.source_files import check_folder
from data.common.errors import UserError, unknown
from data.storage.cache import log

Options = Mapping[str, Any]  # JSON: everything that decides how an example is stored
Checker = Callable[[str, str], bool]  # example id, caption -> whether the caption is correct

TFDS = "tfds:"  # the prefix of datasets that TensorFlow Datasets prepares
PREPARED = "prepared"  # the name of a dataset that `wordreel prepare` has written
UNKNOWN_LICENSE = "see its distributor"
OWN_LICENSE = "that of whoever trained the model: see there"
GENERATED_LICENSE = "made by Wordreel itself, free of the rights of others"


class Loaded(NamedTuple):
    """An example as it is stored, by feature name, and remarks about its file."""

    example: dict[str, Any]
    remarks: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Generator:
    """Generates the examples of a dataset, each from its id.

    Attributes:
        version: another number when the generated data change.
        entries: seed → the entries of all splits.
        load: id → the example as it is stored, by feature name.
        seeded: whether the examples depend on the seed.
        is_true: checks a caption against the example that it describes; None: not possible.
    """

    version: int
    entries: Callable[[int], Iterable[Entry]]
    load: Callable[[str], dict[str, Any]]
    seeded: bool = True
    is_true: Checker | None = None


@dataclasses.dataclass(frozen=True)
class Dataset(abc.ABC):
    """A dataset, and how its examples are read and stored; subclasses are modalities.

    Attributes:
        name: for `--data` and `wordreel prepare`.
        summary: one line.
        layout: the files that its folder must contain.
        annotations: which of "captions", "labels" and "translations" it has.
        license: its terms in a few words.
        source_optional: whether TensorFlow Datasets can download it, so that it needs no source.
        unit: what messages call several examples.
        content: the feature that holds encoded images; "" where there are none.
        id_feature: the feature that holds the id.
        shard_size: the largest number of examples in a shard.
    """

    name: str
    summary: str
    layout: str
    _: dataclasses.KW_ONLY
    annotations: tuple[str, ...] = ("captions",)
    license: str = UNKNOWN_LICENSE
    source_optional: bool = False

    unit: ClassVar[str]
    content: ClassVar[str]
    id_feature: ClassVar[str]
    shard_size: ClassVar[int]

    @property
    def generated(self) -> bool:
        """Whether it is generated, so that it needs no source."""
        return False

    @property
    def preparable(self) -> bool:
        """Whether `wordreel prepare` can write it."""
        return not self.source_optional and self.name != PREPARED

    @property
    def texts(self) -> tuple[str, ...]:
        """What the captions of an entry are; if several, an entry has one of each."""
        return ("caption",)

    @property
    def flags(self) -> frozenset[str]:
        """The options of the command line that it has."""
        return frozenset()

    @property
    def is_true(self) -> Checker | None:
        """A check of captions against generated examples."""
        return None

    @abc.abstractmethod
    def options(self, given: Options) -> dict[str, Any]:
        """Return what decides how examples are stored.

        Args:
            given: values of `flags`, and `pixels`, whether images are stored at all.

        Raises:
            UserError: for a value that cannot be used.
        """

    @abc.abstractmethod
    def load_annotations(self, source: Path | None, options: Options) -> Annotations:
        """Return the entries of a source and its problems; print its notes.

        Raises:
            UserError: for a source that cannot be read or does not have the expected layout.
        """

    @abc.abstractmethod
    def load(self, entry: Entry, options: Options) -> Loaded:
        """Read an example.

        Raises:
            UserError: with the reason, in a few words, why it cannot be decoded.
            OSError: if its file cannot be read.
        """

    @abc.abstractmethod
    def features(self) -> dict[str, Any]:
        """Return the stored features as TensorFlow Datasets declares them, by name."""

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return JSON for the metadata of the stored dataset, such as the frame sampling."""
        del options
        return {}

    @property
    def encoding(self) -> str:
        """The format of stored images: PNG if generated, since JPEG blurs edges."""
        return "png" if self.generated else "jpeg"


@dataclasses.dataclass(frozen=True)
class ImagesOrClips(Dataset):
    """A dataset of images or clips, which are read from files or generated.

    Attributes:
        generator: returns what generates the examples, imported when it is called; None: they are
            read from files.
    """

    generator: Callable[[], Generator] | None = dataclasses.field(default=None, kw_only=True)

    @property
    def generated(self) -> bool:
        """Whether it is generated, so that it takes no source."""
        return self.generator is not None

    @property
    def is_true(self) -> Checker | None:
        """A check of captions against generated examples."""
        return self.generator().is_true if self.generator else None

    @property
    def flags(self) -> frozenset[str]:
        """The options of the command line that it has."""
        return frozenset({"seed"} if self.generator and self.generator().seeded else ())

    def options(self, given: Options) -> dict[str, Any]:
        """Return the seed, and the version of the code that generates."""
        if self.generator is None:
            return {}
        generator = self.generator()
        seed = {"seed": given.get("seed", 0)} if generator.seeded else {}
        return {**seed, "version": generator.version}

    def load_annotations(self, source: Path | None, options: Options) -> Annotations:
        """Return the generated entries, or what the reader finds."""
        if self.generator is not None:
            return Annotations(tuple(self.generator().entries(options.get("seed", 0))), (), ())
        assert source is not None
        try:
            annotations = self.read(source, options)
        except OSError as error:
            raise UserError(f"cannot read {error.filename or source}: {error.strerror}") from error
        for note in annotations.notes:
            log(f"{self.name}: {note}")
        return annotations

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Generate an example, or read it."""
        if self.generator is not None:
            return Loaded(self.generator().load(entry.image_id))
        return self.decode(entry, options)

    @abc.abstractmethod
    def read(self, source: Path, options: Options) -> Annotations:
        """Return what the dataset's reader finds in a folder."""

    @abc.abstractmethod
    def decode(self, entry: Entry, options: Options) -> Loaded:
        """Read an example from its file: see `load`."""


AnyDataset = TypeVar("AnyDataset", bound=Dataset)


def datasets_with(datasets: Iterable[AnyDataset], annotation: str) -> dict[str, AnyDataset]:
    """Return the datasets that have some annotation, by name."""
    return {dataset.name: dataset for dataset in datasets if annotation in dataset.annotations}


def find_dataset(name: str, known: Mapping[str, AnyDataset]) -> AnyDataset:
    """Return a dataset; those of TensorFlow Datasets, such as "tfds:mnist", share a declaration.

    Raises:
        UserError: if there is no such dataset.
    """
    if not is_known(name, known):
        raise unknown("dataset", name, known)
    return known.get(name) or known[f"{TFDS}NAME"]


def is_known(name: str, known: Mapping[str, Dataset]) -> bool:
    """Return whether there is such a dataset; see `find_dataset`."""
    return name in known or (name.startswith(TFDS) and f"{TFDS}NAME" in known)


def source_folder(dataset: Dataset, source: Path | str | None) -> Path | None:
    """Return the folder of a dataset; None where it needs none.

    Raises:
        UserError: if the dataset needs a source and none is given, or takes none and one is given;
            if the folder does not exist or is empty.
    """
    if source is None:
        if not dataset.generated and not dataset.source_optional:
            raise UserError(f"{dataset.name} needs --source DIR, a folder with: {dataset.layout}")
        return None
    if dataset.generated:
        raise UserError(f"{dataset.name} takes no --source: it requires {dataset.layout}")
    folder = Path(source).expanduser()
    check_folder(folder)
    return folder


def check_max_bad(max_bad: float) -> None:
    """Check that `--max-bad` is a fraction.

    Raises:
        UserError: if it is not between 0 and 1.
    """
    if not 0 <= max_bad <= 1:
        raise UserError(f"--max-bad is a share between 0 and 1, not {max_bad}")
