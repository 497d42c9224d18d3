"""An export runs in a C program, with TensorFlow's shared libraries and without Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

from pipelines.export.bundle.sample_requests import read_signatures
from tests.support.tiny.captioner import encode, smooth_image

SOURCE = Path(__file__).with_name("ask_export.c")


def test_a_c_program_gets_the_same_captions(captioner_folder: Path, tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler (cc, gcc, clang)")
    library = Path(tf.sysconfig.get_lib())
    program = tmp_path / "program"
    subprocess.run(
        [
            *(compiler, "-std=c11", "-Wall", "-O1", str(SOURCE), "-o", str(program)),
            *("-I", tf.sysconfig.get_include(), "-L", str(library), f"-Wl,-rpath,{library}"),
            *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"),
        ],
        check=True,
    )
    images = [encode(smooth_image(0)), b"not an image", encode(smooth_image(1), "PNG")]
    for number, data in enumerate(images):
        (tmp_path / str(number)).write_bytes(data)
    version = captioner_folder / "1"
    signature = read_signatures(version)["serving_default"]
    given = signature.inputs["image_bytes"].name.partition(":")[0]
    name, _, index = signature.outputs["caption"].name.partition(":")
    done = subprocess.run(
        [program, version, given, name, index, *(tmp_path / str(n) for n in range(3))],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = tf.saved_model.load(str(version))
    expected = loaded.signatures["serving_default"](tf.constant(images))["caption"].numpy()
    assert done.stdout.split("\n")[:-1] == [caption.decode() for caption in expected]
    assert expected[0] and not expected[1]
