# SPDX-License-Identifier: Apache-2.0
"""Ready-made signatures: tf.Examples and images in, labels out, Classify and Regress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy import export as ex
from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.labels import Vocabulary
from tfs_deploy.export.sources.module_source import bind_module
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel.warmup import read_warmup

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

LABELS = ["cat", "dog", "owl"]


def export(source: Any, tmp_path: Path, signature: td.Signature, example: Any = None, **options: Any) -> Any:
    examples = None if example is None else {"serving_default": example}
    return td.export_model(source, tmp_path / "m", signatures=signature, examples=examples, **options)


def serialized(**features: Any) -> bytes:
    kinds = {float: "float_list", int: "int64_list", bytes: "bytes_list"}
    lists = {"float_list": tf.train.FloatList, "int64_list": tf.train.Int64List, "bytes_list": tf.train.BytesList}
    made = {}
    for name, values in features.items():
        kind = kinds[type(values[0])]
        made[name] = tf.train.Feature(**{kind: lists[kind](value=values)})
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def image_model(shape: tuple[int, ...] = (4, 6, 3), dtype: str = "float32") -> Any:
    inputs = keras.Input(shape, name="image", dtype=dtype)
    return keras.Model(inputs, keras.ops.multiply(inputs, 1), name="same")


def test_examples_are_parsed_by_the_inputs_own_specs(tmp_path):
    def total(row: Any, count: Any, word: Any, flag: Any) -> Any:
        return {"total": tf.reduce_sum(row, 1) * tf.cast(count, tf.float32), "word": word, "flag": flag}

    inputs = {
        "row": ("float32", (None, 2)),
        "count": ("int32", (None,)),
        "word": (str, (None,)),
        "flag": ("bool", (None,)),
    }
    example = serialized(row=[1.0, 2.0], count=[3], word=[b"a"], flag=[1])
    exported = export(
        tf.Module(), tmp_path, ex.from_examples(signature=td.Signature(total, inputs)), {"examples": [example] * 2}
    )
    assert str(exported.signatures["serving_default"].inputs["examples"]) == "string [?]"
    with td.load_model(exported.path) as model:
        outputs = model.predict({"examples": [example]})
    assert outputs["total"].tolist() == [9.0]
    assert outputs["word"].tolist() == [b"a"]
    assert outputs["flag"].tolist() == [True]


def test_examples_are_parsed_by_a_feature_spec(tmp_path):
    spec = {
        "row": tf.io.FixedLenFeature([2], tf.float32),
        "words": tf.io.VarLenFeature(tf.string),
        "age": tf.io.FixedLenFeature([], tf.float32, default_value=7.0),
    }

    def function(row: Any, words: Any, age: Any) -> Any:
        return {"y": row[:, 0] + age, "words": tf.sparse.to_dense(words)}

    signature = ex.from_examples(spec, function)
    rows = [serialized(row=[1.0, 2.0], words=[b"a", b"b"]), serialized(row=[3.0, 4.0], age=[1.0])]
    exported = export(tf.Module(), tmp_path, signature, {"examples": rows})
    with td.load_model(exported.path) as model:
        outputs = model.predict({"examples": rows})
    assert outputs["y"].tolist() == [8.0, 4.0]
    assert outputs["words"].tolist() == [[b"a", b"b"], [b"", b""]]


def test_examples_without_a_known_length_are_refused(tmp_path):
    signature = ex.from_examples(signature=td.Signature(lambda ids: ids, {"ids": ("int64", (None, None))}, "y"))
    with pytest.raises(UsageError, match="cannot be parsed from a") as caught:
        export(tf.Module(), tmp_path, signature)
    assert "VarLenFeature" in caught.value.hint


def test_a_missing_feature_names_the_closest(tmp_path):
    signature = ex.from_examples(
        {"rows": ("float32", (None, 2))}, td.Signature(lambda row: row, {"row": ("float32", (None, 2))}, "y")
    )
    with pytest.raises(UsageError, match="no feature for the input 'row'") as caught:
        export(tf.Module(), tmp_path, signature)
    assert "rows" in caught.value.hint


PICTURE = (np.arange(4 * 6 * 3).reshape(4, 6, 3) * 3).astype(np.uint8)


@pytest.mark.parametrize("encode", ["png", "jpeg", "bmp"])
def test_image_bytes_become_floats_between_0_and_1(tmp_path, encode):
    data = getattr(tf.io, f"encode_{encode}")(PICTURE).numpy() if encode != "bmp" else bitmap(PICTURE)
    exported = export(
        image_model(), tmp_path, ex.from_image_bytes((4, 6), 3, td.Signature(outputs="same")), {"image_bytes": [data]}
    )
    assert list(exported.signatures["serving_default"].inputs) == ["image_bytes"]
    with td.load_model(exported.path) as model:
        (image,) = model.predict({"image_bytes": [data]})["same"]
    np.testing.assert_allclose(image, PICTURE / 255, atol=0.06 if encode == "jpeg" else 1e-6)


def bitmap(picture: np.ndarray) -> bytes:
    height, width, _ = picture.shape
    rows = b"".join(row[:, ::-1].tobytes().ljust(-(-width * 3 // 4) * 4, b"\0") for row in picture[::-1])
    header = (54 + len(rows)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    sizes = (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return b"BM" + header + sizes + b"\1\0\x18\0" + bytes(24) + rows


def test_images_of_any_size_are_resized_and_batched(tmp_path):
    big = tf.io.encode_png(np.full((9, 5, 3), 51, np.uint8)).numpy()
    small = tf.io.encode_png(np.full((2, 2, 3), 255, np.uint8)).numpy()
    signature = ex.from_image_bytes((4, 6), 3, td.Signature(outputs="same"), scale=2 / 255, offset=-1)
    exported = export(image_model(), tmp_path, signature, {"image_bytes": [big, small]})
    with td.load_model(exported.path) as model:
        images = model.predict({"image_bytes": [big, small]})["same"]
        assert model.predict({"image_bytes": np.empty(0, object)})["same"].shape == (0, 4, 6, 3)
    np.testing.assert_allclose(images[0], -0.6, atol=1e-6)
    np.testing.assert_allclose(images[1], 1.0, atol=1e-6)


def test_gray_images_without_a_dimension_for_channels_and_integers(tmp_path):
    data = tf.io.encode_png(PICTURE[:, :, :1]).numpy()
    signature = ex.from_image_bytes((4, 6), 1, td.Signature(outputs="same"))
    exported = export(image_model((4, 6), "uint8"), tmp_path, signature, {"image_bytes": [data]})
    with td.load_model(exported.path) as model:
        (image,) = model.predict({"image_bytes": [data]})["same"]
    assert image.tolist() == PICTURE[:, :, 0].tolist()


def test_other_inputs_beside_the_image_stay(tmp_path):
    inputs = {"image": ("float32", (None, 4, 6, 3)), "factor": ("float32", (None,))}
    inner = td.Signature(lambda image, factor: factor * tf.reduce_max(image, [1, 2, 3]), inputs, "y")
    with pytest.raises(UsageError, match="several inputs could take the images: image, factor"):
        export(tf.Module(), tmp_path, ex.from_image_bytes((4, 6), 3, inner))
    exported = export(tf.Module(), tmp_path, ex.from_image_bytes((4, 6), 3, inner, image_input="image"))
    assert sorted(exported.signatures["serving_default"].inputs) == ["factor", "image_bytes"]
    with pytest.raises(UsageError, match="unknown input 'imag'") as caught:
        export(tf.Module(), tmp_path, ex.from_image_bytes((4, 6), 3, inner, image_input="imag"))
    assert "image" in caught.value.hint


def test_arguments_of_image_bytes_are_checked():
    with pytest.raises(UsageError, match="_bytes") as caught:
        ex.from_image_bytes((4, 6), input_name="image")
    assert "image_bytes" in caught.value.hint
    for size, channels in (((0, 6), 3), ((4,), 3), ((4, 6), 2)):
        with pytest.raises(UsageError, match="is not a valid image"):
            ex.from_image_bytes(size, channels)


@pytest.mark.parametrize("kind", ["list", "file", "layer"])
def test_labels_as_strings(tmp_path, kind):
    vocabulary: Any = LABELS
    if kind == "file":
        vocabulary = tmp_path / "labels.txt"
        vocabulary.write_text("cat\ndog\nowl\n")
    elif kind == "layer":
        vocabulary = keras.layers.StringLookup(vocabulary=LABELS, num_oov_indices=0)
    inner = td.Signature(lambda scores: {"probabilities": scores}, {"scores": ("float32", (None, 3))})
    exported = export(tf.Module(), tmp_path, ex.with_vocabulary(vocabulary, inner), {"scores": [[0.1, 0.7, 0.2]]})
    with td.load_model(exported.path) as model:
        outputs = model.predict({"scores": [[0.1, 0.2, 0.7], [0.9, 0.1, 0.0]]})
    assert outputs["label"].tolist() == [b"owl", b"cat"]
    assert outputs["probabilities"].shape == (2, 3)
    assert (exported.path / "assets" / "labels.txt").exists() == (kind == "file")


def test_labels_of_class_numbers_and_unknown_ones(tmp_path):
    inner = td.Signature(lambda number: {"number": number}, {"number": ("int32", (None, 2))})
    signature = ex.with_vocabulary(LABELS, inner, output="number", name="names", unknown="?")
    exported = export(tf.Module(), tmp_path, signature)
    with td.load_model(exported.path) as model:
        outputs = model.predict({"number": [[0, 1], [2, 17]]})
    assert outputs["names"].tolist() == [[b"cat", b"dog"], [b"owl", b"?"]]


def test_a_vocabulary_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="is not a file"):
        ex.with_vocabulary(tmp_path / "nope.txt")
    inner = td.Signature(lambda x: {"probability": x}, {"x": ("float32", (None, 3))})
    with pytest.raises(UsageError, match="unknown output 'probabilities'") as caught:
        export(tf.Module(), tmp_path, ex.with_vocabulary(LABELS, inner, output="probabilities"))
    assert "probability" in caught.value.hint


def scores_of(shape: tuple[int | None, ...], dtype: str = "float32") -> td.Signature:
    """Return a signature that answers with its input ``y``."""
    return td.Signature(lambda y: {"y": y}, {"y": (dtype, shape)})


@pytest.mark.parametrize("shape", [(None, 1), (None,), (None, None), (2, 1), (2,)])
def test_one_score_of_two_labels_is_compared_with_the_threshold(shape):
    rows = np.float32([0.2, 0.5]).reshape(shape_of(shape, 2))
    for threshold, labels in ((0.5, [b"no", b"yes"]), (0.0, [b"yes", b"yes"]), (0.6, [b"no", b"no"])):
        signature = ex.with_vocabulary(["no", "yes"], scores_of(shape), threshold=threshold)
        bound = bind(signature)
        assert bound.run({"y": rows})["label"].tolist() == labels
        assert bound.trace()(y=tf.constant(rows))["label"].numpy().tolist() == labels


def shape_of(shape: tuple[int | None, ...], rows: int) -> tuple[int, ...]:
    return (rows, *(size or 1 for size in shape[1:]))


def bind(signature: td.Signature) -> Any:
    (bound,) = bind_module(tf.Module(), {"serving_default": signature}, {})
    return bound


@pytest.mark.parametrize(
    ("signature", "message", "hint"),
    [
        (ex.with_vocabulary(["no", "yes"], scores_of((None, 1))), "'y' has one score for 2 labels", "threshold=0.5"),
        (ex.with_vocabulary(["no", "yes"], scores_of((None,))), "'y' has one score for 2 labels", "threshold=0.5"),
        (ex.with_vocabulary(["no", "yes"], scores_of((2,))), "'y' has one score for 2 labels", "threshold=0.0"),
        (ex.with_vocabulary(LABELS, scores_of((None, 2))), "'y' has 2 scores for 3 labels", "one label for each"),
        (ex.with_vocabulary(LABELS, scores_of((None, 4))), "'y' has 4 scores for 3 labels", "one label for each"),
        (ex.with_vocabulary(LABELS, scores_of((None, 3), dtype="string")), "'y' is string, not scores", "floating"),
        (ex.with_vocabulary(LABELS, scores_of((None, 1)), threshold=0.5), "the vocabulary has 3", "two labels"),
        (ex.with_vocabulary(["a", "b"], scores_of((None, 2)), threshold=0.5), "for one score", "leave threshold out"),
        (ex.with_vocabulary(["a", "b"], scores_of((None, 1), dtype="int64"), threshold=1), "is int64", "floating"),
        (ex.with_vocabulary(LABELS, scores_of((None, 3)), name="y"), "has an output 'y' already", "name="),
        (ex.classify_examples(["no", "yes"], scores_of((None, 1))), "'y' has one score for 2 labels", "1 - p"),
        (ex.classify_examples(LABELS, scores_of((None, 2))), "'y' has 2 scores for 3 labels", "one label for each"),
    ],
)
def test_labels_that_do_not_fit_the_scores_are_refused(signature, message, hint):
    with pytest.raises(UsageError) as caught:
        bind(signature).trace()
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_scores_whose_number_only_a_request_shows_are_checked_by_the_graph():
    traced = bind(ex.with_vocabulary(LABELS, scores_of((None, None)))).trace()
    assert traced(y=tf.constant([[0.1, 0.2, 0.7]]))["label"].numpy().tolist() == [b"owl"]
    for values in ([[0.9, 0.1]], [[0.1, 0.2, 0.3, 0.4]]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="output y must have 3 in its last dimension"):
            traced(y=tf.constant(values))


def test_the_output_that_labels_are_for():
    two = td.Signature(lambda y: {"aux": 1 - y, "probabilities": y}, {"y": ("float32", (None, 3))})
    assert bind(ex.with_vocabulary(LABELS, two)).run({"y": [[0.1, 0.2, 0.7]]})["label"].tolist() == [b"owl"]
    neither = td.Signature(lambda y: {"aux": 1 - y, "scores": y}, {"y": ("float32", (None, 3))})
    with pytest.raises(UsageError, match="has several outputs, none called 'probabilities': aux, scores"):
        bind(ex.with_vocabulary(LABELS, neither)).trace()
    whole = bind(ex.with_vocabulary(["no", "yes"], scores_of((None,), dtype="bool")))
    assert whole.run({"y": [True, False]})["label"].tolist() == [b"yes", b"no"]


@pytest.mark.parametrize(("text", "count"), [("a\nb", 2), ("a\nb\n", 2), ("a\r\nb\r\n", 2), ("x", 1)])
def test_labels_in_a_file_are_counted_as_tensorflow_does(tmp_path, text, count):
    (tmp_path / "labels.txt").write_bytes(text.encode())
    vocabulary = Vocabulary(tmp_path / "labels.txt")
    vocabulary.label([0])
    assert vocabulary.count() == vocabulary._table.size().numpy() == count


SCORES = td.Signature(lambda row: {"probabilities": tf.nn.softmax(row)}, {"row": ("float32", (None, 3))})


def test_a_classify_signature(tmp_path):
    row = serialized(row=[1.0, 3.0, 2.0])
    exported = export(tf.Module(), tmp_path, ex.classify_examples(LABELS, SCORES), {"inputs": [row, row]})
    info = exported.signatures["serving_default"]
    assert info.method == CLASSIFY_METHOD
    assert {key: str(spec) for key, spec in info.outputs.items()} == {
        "classes": "string [?, 3]",
        "scores": "float32 [?, 3]",
    }
    (log,) = read_warmup(exported.path)
    assert len(log.classify_log.request.input.example_list.examples) == 2
    assert log.classify_log.request.model_spec.signature_name == "serving_default"
    with td.load_model(exported.path) as model:
        outputs = model.predict({"inputs": [row]})
    assert outputs["classes"].tolist() == [[b"cat", b"dog", b"owl"]]
    assert outputs["scores"].argmax() == 1


def test_a_classify_signature_without_labels(tmp_path):
    exported = export(tf.Module(), tmp_path, ex.classify_examples(None, SCORES), check=False)
    assert list(exported.signatures["serving_default"].outputs) == ["scores"]


def test_a_regress_signature(tmp_path):
    inner = td.Signature(lambda row: {"sum": tf.reduce_sum(row, 1, keepdims=True)}, {"row": ("float64", (None, 3))})
    row = serialized(row=[1.0, 3.0, 2.0])
    exported = export(tf.Module(), tmp_path, ex.regress_examples(inner, output="sum"), {"inputs": [row]})
    assert exported.signatures["serving_default"].method == REGRESS_METHOD
    (log,) = read_warmup(exported.path)
    assert len(log.regress_log.request.input.example_list.examples) == 1
    with td.load_model(exported.path) as model:
        assert model.predict({"inputs": [row]})["outputs"].tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (
            td.Signature(lambda inputs: inputs, {"inputs": ("float32", (None, 3))}, "scores", "classify"),
            "one string input",
        ),
        (
            td.Signature(lambda examples: examples, {"examples": (str, (None,))}, "classes", "classify"),
            "one string input",
        ),
        (td.Signature(lambda inputs: inputs, {"inputs": (str, (None,))}, "label", "classify"), "not ['label']"),
        (td.Signature(lambda inputs: inputs, {"inputs": (str, (None,))}, "classes", "classify"), "[batch, classes]"),
        (
            td.Signature(lambda inputs: inputs, {"inputs": (str, (None,))}, "outputs", "regress"),
            "[batch] or [batch, 1]",
        ),
        (
            td.Signature(lambda inputs: tf.zeros([1, 2, 3]), {"inputs": (str, (None,))}, "outputs", "regress"),
            "[batch] or [batch, 1]",
        ),
    ],
)
def test_what_tensorflow_serving_would_refuse(tmp_path, signature, message):
    with pytest.raises(UsageError) as caught:
        export(tf.Module(), tmp_path, signature)
    assert message in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "m").exists()


def test_wrappers_nest(tmp_path):
    picture = tf.io.encode_png(PICTURE).numpy()
    model = keras.Sequential(
        [keras.Input((4, 6, 3), name="image"), keras.layers.Flatten(), keras.layers.Dense(3, name="probabilities")]
    )
    signature = ex.classify_examples(LABELS, ex.from_image_bytes((4, 6), 3))
    exported = export(model, tmp_path, signature, {"inputs": [serialized(image_bytes=[picture])]})
    assert list(exported.signatures["serving_default"].inputs) == ["inputs"]
