# SPDX-License-Identifier: Apache-2.0
"""inspect_model: what it says, what it refuses, and that damage never gets the better of it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.describe import describe
from tfs_deploy.savedmodel.lint import inspect_to_lint, lint_model
from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest
from tfs_deploy.savedmodel.review import check_files
from tfs_deploy.savedmodel.warmup import write_warmup


def test_a_tf2_model(models) -> None:
    info = inspect_model(models / "saved_model_half_plus_two_tf2_cpu")
    assert info.path == models / "saved_model_half_plus_two_tf2_cpu" / "00000123"
    assert (info.version, info.model) == (123, "saved_model_half_plus_two_tf2_cpu")
    assert (info.tensorflow_version, info.producer, info.tag_sets) == ("2.14.0", 1569, [("serve",)])
    assert list(info.signatures) == [
        "classify_x2_to_y3",
        "classify_x_to_y",
        "regress_x2_to_y3",
        "regress_x_to_y",
        "regress_x_to_y2",
        "serving_default",
    ]
    assert [(v.name, v.dtype, v.shape, v.bytes) for v in info.variables] == [
        ("a", "float32", (), 4),
        ("b", "float32", (), 4),
        ("c", "float32", (), 4),
    ]
    assert [(a.name, a.size) for a in info.assets] == [("foo.txt", 19)]
    assert info.warmup_records is None
    assert info.manifest is None


def test_assets_of_tf1_are_in_a_collection(models) -> None:
    assert [(a.name, a.size) for a in inspect_model(models / "saved_model_half_plus_three").assets] == [("foo.txt", 19)]


def test_the_latest_version_of_a_base_path(models) -> None:
    assert inspect_model(models / "saved_model_half_plus_two_2_versions").version == 124
    assert inspect_model(models / "zoo").version == 2


def test_the_meta_graph_that_is_served(write_model) -> None:
    from tfs_deploy import protos

    train, serve = write_model("1", tags=("train",)), write_model("2", tensorflow="2.17.0")
    both = protos.SavedModel.FromString((train / "saved_model.pb").read_bytes())
    both.MergeFromString((serve / "saved_model.pb").read_bytes())
    (train / "saved_model.pb").write_bytes(both.SerializeToString())
    info = inspect_model(train)
    assert info.tag_sets == [("train",), ("serve",)]
    assert info.tensorflow_version == "2.17.0"


def test_everything_is_json(real_model) -> None:
    document = json.loads(json.dumps(describe(inspect_model(real_model), model="m")))
    assert document["model"] == "m"
    for signature in document["signatures"].values():
        assert signature["requests"]["python"]
        assert signature["requests"]["curl"] or signature["requests"]["note"]


def test_warmup_and_manifest_are_described(write_model) -> None:
    from tfs_deploy import protos

    folder = write_model()
    write_warmup(folder, [protos.PredictRequest()] * 3)
    write_manifest(folder, build_manifest(folder, signature_digest="ab", metadata={"accuracy": 0.9}))
    document = describe(inspect_model(folder))
    assert document["warmup"] == {"records": 3}
    assert document["manifest"]["metadata"] == {"accuracy": 0.9}
    assert sorted(document["manifest"]["files"]) == ["assets.extra/tf_serving_warmup_requests", "saved_model.pb"]


def test_custom_ops_are_named(write_model) -> None:
    folder = write_model(
        nodes=[("x", "Placeholder"), ("y", "ZeroOut", ["x"]), ("f", "helper")], functions={"helper": []}
    )
    assert describe(inspect_model(folder))["graph"]["custom_ops"] == ["ZeroOut"]


def make(name: str):
    def build(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")

    return build


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda _: None, r"saved_model\.pb does not exist \(hint: give"),
        (make("saved_model.pbtxt"), r"saved_model\.pbtxt is damaged or not a SavedModel"),
        (make("saved_model.cpb"), r"saved_model\.pb does not exist, but saved_model\.cpb"),
        (make("model.tflite"), r"holds model\.tflite but no saved_model\.pb"),
        (make("saved_model.pb/inside"), r"saved_model\.pb is not a file"),
        (make("2"), r"2 is a file, which the server takes for a version"),
    ],
)
def test_what_is_no_saved_model(tmp_path, build, message: str) -> None:
    build(tmp_path)
    with pytest.raises(ModelError, match=message) as caught:
        inspect_model(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["absent", "file", "n" * 300, "nul\0byte"])
def test_impossible_paths(tmp_path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError):
        inspect_model(tmp_path / name)


def test_check_compares_with_the_manifest(copy_model) -> None:
    folder = copy_model()
    write_manifest(folder, build_manifest(folder, signature_digest=""))
    assert check_files(inspect_model(folder)) == []
    data = folder / "variables" / "variables.index"
    (folder / "extra").write_text("")
    data.write_bytes(data.read_bytes()[:-48] + bytes(40) + data.read_bytes()[-8:])
    (folder / "saved_model.pb").touch()
    with pytest.raises(ModelError, match=r"variables\.index is damaged"):
        inspect_model(folder)
    data.unlink()
    (folder / "variables" / "variables.data-00000-of-00001").unlink()
    assert check_files(inspect_model(folder)) == [
        "extra: unlisted, it was added after the export",
        "variables/variables.data-00000-of-00001: missing, 1252 bytes are expected",
        "variables/variables.index: missing, 234 bytes are expected",
    ]


def test_check_without_a_manifest_is_no_success(copy_model) -> None:
    with pytest.raises(ModelError, match=r"tfs_deploy\.json does not exist"):
        check_files(inspect_model(copy_model()))


def mutations(data: bytes, count: int):
    """Yield cut, flipped, overwritten and shuffled versions of ``data``."""
    rng = random.Random(7)
    for number in range(count):
        changed = bytearray(data)
        if number % 4 == 0:
            del changed[rng.randrange(len(changed)) :]
        elif number % 4 == 1:
            for _ in range(rng.choice([1, 5, 60])):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif number % 4 == 2:
            for _ in range(rng.choice([1, 5, 60])):
                changed[rng.randrange(len(changed))] = rng.choice([0, 127, 128, 255])
        else:
            start, other = rng.randrange(len(changed)), rng.randrange(len(changed))
            changed[start : start + rng.randrange(200)] = changed[other : other + rng.randrange(200)]
        yield bytes(changed)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
@pytest.mark.parametrize("model", ["zoo/2", "saved_model_half_plus_two_cpu/00000123"])
def test_fuzzed_files_end_in_a_report_or_an_error_that_names_them(copy_model, name: str, model: str) -> None:
    from tfs_deploy.cli.commands.inspect import render
    from tfs_deploy.savedmodel.contract import describe_diff, diff_models
    from tfs_deploy.savedmodel.lint import lint_model

    folder = copy_model(model)
    good, path = inspect_model(folder), folder / name
    refused = 0
    for data in mutations(path.read_bytes(), 200):
        path.write_bytes(data)
        try:
            info = inspect_model(folder)
            assert render(describe(info))
            assert lint_model(info) is not None
            assert describe_diff(diff_models(good, info))
        except ModelError as error:
            assert str(path) in error.message  # noqa: PT017
            refused += 1
    assert refused > 150


def test_fuzzed_files_need_no_memory(copy_model) -> None:
    """The same in a process that may have little of it."""
    folder = copy_model()
    code = f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_inspect import mutations
        from tfs_deploy.errors import ModelError
        from tfs_deploy.savedmodel import inspect_model
        from pathlib import Path
        folder = Path({str(folder)!r})
        data = (folder / "saved_model.pb").read_bytes()
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        for changed in mutations(data, 200):
            (folder / "saved_model.pb").write_bytes(changed)
            try:
                inspect_model(folder)
            except ModelError:
                pass
        # Not getrusage: that also counts what the process had before it became this one.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 150


def test_nothing_heavy_is_imported(models) -> None:
    code = f"""
        import sys
        from tfs_deploy.cli.entry import main
        zoo = {str(models / "zoo")!r}
        for command in (["inspect", zoo], ["lint", zoo], ["diff", zoo, zoo]):
            assert main([*command, "--quiet"]) == 0
        heavy = {{"tensorflow", "keras", "numpy", "grpc", "rich", "pydantic", "yaml", "httpx"}}
        print(*sorted(heavy & set(sys.modules)))
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", ["zoo/2", "saved_model_half_plus_two_tf2_cpu/00000123"])
def test_a_graph_in_text_is_read_as_the_binary_one(copy_model, models, name: str) -> None:
    folder = copy_model(name)
    model = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (folder / "saved_model.pbtxt").write_text(protos.to_text(model), encoding="utf-8")
    (folder / "saved_model.pb").unlink()
    text, binary = describe(inspect_model(folder)), describe(inspect_model(models / name))
    for key in ("tag_sets", "tensorflow_version", "assets", "variables"):
        assert text[key] == binary[key]
    assert text["graph"]["ops"] == binary["graph"]["ops"]
    assert text["signatures"].keys() == binary["signatures"].keys()
    assert lint_model(inspect_to_lint(folder.parent), ignore=["TFS4"]) == lint_model(
        inspect_model(models / name), ignore=["TFS4"]
    )
