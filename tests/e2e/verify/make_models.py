# SPDX-License-Identifier: Apache-2.0
"""Writes ten good models and the broken ones that only TensorFlow can write: ``python make_models.py FOLDER``.

Each is a base path with the version 1. All broken ones were meant to compute y = x / 2 + 2.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfs_deploy as td
from tfs_deploy.export import classify_examples, from_image_bytes, regress_examples
from tfs_deploy.savedmodel.goldens import Golden, write_goldens

v1 = tf.compat.v1
ROWS = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
VECTOR = tf.TensorSpec([None], tf.float32, name="x")


def save(folder: Path, functions, *, owner=None) -> Path:
    """Save functions by signature name: name -> (function, specs)."""
    module = owner or tf.Module()
    signatures = {
        name: tf.function(function, input_signature=specs).get_concrete_function()
        for name, (function, specs) in functions.items()
    }
    path = folder / "1"
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def simple(folder: Path, function, spec=VECTOR) -> Path:
    return save(folder, {"serving_default": (function, [spec])})


def half_plus_two(x):
    return {"y": x / 2 + 2}


def edited(path: Path, change) -> None:
    """Change the SavedModel message of a version."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(model)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    (path / "fingerprint.pb").unlink(missing_ok=True)


# good ones, of different kinds


class Dense(tf.Module):
    """Scores of three classes, and what is made of them."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) / 10)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="row")])
    def scores(self, row):
        return {"probabilities": tf.nn.softmax(row @ self.kernel)}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="row")])
    def total(self, row):
        return {"total": tf.reduce_sum(row, 1)}


def good_recorded(folder: Path) -> None:
    td.export_model(
        Dense(),
        folder,
        signatures={"serving_default": "scores"},
        examples={"serving_default": {"row": ROWS}},
        check=False,
    )


def good_examples(folder: Path) -> None:
    signatures = {
        "serving_default": td.Signature("scores"),
        "classify": classify_examples(["cat", "dog", "owl"], "scores"),
        "regress": regress_examples("total", output="total"),
    }
    td.export_model(Dense(), folder, signatures=signatures, check=False)


def good_images(folder: Path) -> None:
    spec = {"image": ("float32", (None, 8, 8, 3))}
    inner = td.Signature(lambda image: {"mean": tf.reduce_mean(image, [1, 2, 3])}, inputs=spec)
    td.export_model(
        tf.Module(), folder, signatures={"serving_default": from_image_bytes((8, 8), signature=inner)}, check=False
    )


def good_several_signatures(folder: Path) -> None:
    flag = tf.TensorSpec([None], tf.bool, name="flag")
    number = tf.TensorSpec([None], tf.int64, name="number")
    save(
        folder,
        {
            "serving_default": (half_plus_two, [VECTOR]),
            "mixed": (lambda flag, number: {"chosen": tf.where(flag, number, -number), "not": ~flag}, [flag, number]),
            "doubled": (lambda x: {"y": tf.cast(x, tf.float64) * 2}, [VECTOR]),
        },
    )


def good_text(folder: Path) -> None:
    words = folder.parent / f"{folder.name}.txt"
    words.write_text("text\nwords\n")
    owner = tf.Module()
    owner.words = tf.saved_model.Asset(str(words))
    whole, line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(owner.words, tf.string, whole, tf.int64, line)
    owner.table = tf.lookup.StaticVocabularyTable(initializer, 1)
    spec = tf.TensorSpec([None], tf.string, name="word")
    look = lambda word: {"id": owner.table.lookup(word), "upper": tf.strings.upper(word)}  # noqa: E731
    save(folder, {"serving_default": (look, [spec])}, owner=owner)


def good_sequences(folder: Path) -> None:
    owner = tf.Module()
    owner.table = tf.Variable(np.arange(40, dtype=np.float32).reshape(20, 2))
    spec = tf.TensorSpec([None, None], tf.int32, name="tokens")
    embed = lambda tokens: {"mean": tf.reduce_mean(tf.gather(owner.table, tokens), 1)}  # noqa: E731
    save(folder, {"serving_default": (embed, [spec])}, owner=owner)


def good_convolution(folder: Path) -> None:
    """Free height and width, and a kernel that takes no picture smaller than 5 x 5."""
    owner = tf.Module()
    owner.kernel = tf.Variable(tf.ones([5, 5, 3, 2]) / 75)
    spec = tf.TensorSpec([None, None, None, 3], tf.float32, name="image")

    def convolve(image):
        tf.debugging.assert_greater_equal(tf.shape(image)[1], 5, message="too small a picture")
        return {"mean": tf.reduce_mean(tf.nn.conv2d(image, owner.kernel, 1, "VALID"), [1, 2])}

    save(folder, {"serving_default": (convolve, [spec])}, owner=owner)


def good_halves(folder: Path) -> None:
    spec = tf.TensorSpec([None, 3], tf.float16, name="x")
    simple(folder, lambda x: {"half": x * 2, "brain": tf.cast(x, tf.bfloat16)}, spec)


def good_scalars(folder: Path) -> None:
    spec = tf.TensorSpec([], tf.float32, name="x")
    simple(folder, lambda x: {"y": x * 2, "label": tf.strings.as_string(tf.cast(x, tf.int32))}, spec)


def good_tensorflow_1(folder: Path) -> None:
    with v1.Session(graph=tf.Graph()) as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        weight = v1.get_variable("weight", initializer=np.array([[1.0], [2.0]], np.float32), use_resource=False)
        y = tf.matmul(x, weight)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "1"), {"x": x}, {"y": y})


def good_ranked(folder: Path) -> None:
    """The best labels first, as many models for Classify have them."""

    def classify(row):
        scores, places = tf.math.top_k(row, 2)
        return {"classes": tf.gather(tf.constant(["cat", "dog", "owl"]), places), "scores": scores}

    simple(folder, classify, tf.TensorSpec([None, 3], tf.float32, name="row"))


def good_words(folder: Path) -> None:
    """Words of each text, filled up to the longest text of the batch."""
    spec = tf.TensorSpec([None], tf.string, name="text")
    simple(folder, lambda text: {"words": tf.strings.split(text).to_tensor()}, spec)


def good_padded(folder: Path) -> None:
    """The mean of what is no padding, which nothing but padding does not have."""
    owner = tf.Module()
    owner.table = tf.Variable(np.arange(40, dtype=np.float32).reshape(20, 2))

    def mean(tokens):
        mask = tf.cast(tokens != 0, tf.float32)[:, :, tf.newaxis]
        return {"mean": tf.reduce_sum(tf.gather(owner.table, tokens) * mask, 1) / tf.reduce_sum(mask, 1)}

    save(folder, {"serving_default": (mean, [tf.TensorSpec([None, None], tf.int32, name="tokens")])}, owner=owner)


def good_deviation(folder: Path) -> None:
    """Divides by the deviation of a sequence, which one of equal numbers does not have."""

    def standard(x):
        return {"y": (x - tf.reduce_mean(x, 1, keepdims=True)) / tf.math.reduce_std(x, 1, keepdims=True)}

    simple(folder, standard, tf.TensorSpec([None, None], tf.float32, name="x"))


# broken ones


def bad_always_refuses(folder: Path) -> None:
    def refuse(x):
        with tf.control_dependencies([tf.debugging.Assert(tf.size(x) < 0, ["nothing is right"])]):
            return half_plus_two(tf.identity(x))

    simple(folder, refuse)


def bad_hangs(folder: Path) -> None:
    def hang(x):
        (total,) = tf.while_loop(lambda n: tf.reduce_sum(x) < 1e30, lambda n: (n + 0.001,), [tf.reduce_sum(x)])
        return {"y": x / 2 + 2 + 0 * total}

    simple(folder, hang)


def bad_aborts(folder: Path) -> None:
    def end(x):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="the model ends its server")]):
            return half_plus_two(tf.identity(x))

    simple(folder, end)


def bad_nan(folder: Path) -> None:
    simple(folder, lambda x: {"y": tf.math.log(-1 - x * x)})


def bad_zeros(folder: Path) -> None:
    """Divides by a length, which zeros do not have."""
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    simple(folder, lambda x: {"y": x / tf.norm(x, axis=1, keepdims=True)}, spec)


def bad_one_row(folder: Path) -> None:
    """Was traced with one row, and takes no other number of them."""
    simple(folder, lambda x: {"y": tf.reshape(x, [1, 4]) * 2}, tf.TensorSpec([None, 4], tf.float32, name="x"))


def bad_batch_statistics(folder: Path) -> None:
    """Was exported as it trains: rows are normalised by those that they come with."""

    def normalise(x):
        mean, variance = tf.nn.moments(x, [0])
        return {"y": (x - mean) * tf.math.rsqrt(variance + 1e-3)}

    simple(folder, normalise, tf.TensorSpec([None, 4], tf.float32, name="x"))


def bad_remembers(folder: Path) -> None:
    """Adds what the request before this one brought."""
    owner = tf.Module()
    owner.last = tf.Variable(0.0)

    def remember(x):
        before = owner.last.read_value()
        with tf.control_dependencies([before]):
            owner.last.assign(tf.reduce_sum(x))
        return {"y": x + before}

    save(folder, {"serving_default": (remember, [VECTOR])}, owner=owner)


def bad_huge(folder: Path) -> None:
    simple(folder, lambda x: {"y": tf.tile(x[:, tf.newaxis], [1, 50_000_000])})


def bad_resource(folder: Path) -> None:
    def promise(model):
        model.meta_graphs[0].signature_def["serving_default"].outputs["y"].dtype = tf.resource.as_datatype_enum

    edited(simple(folder, half_plus_two), promise)


def bad_random(folder: Path) -> None:
    simple(folder, lambda x: {"y": x / 2 + 2 + tf.random.uniform(tf.shape(x))})


def bad_mixes_rows(folder: Path) -> None:
    simple(folder, lambda x: {"y": x / 2 + 2 - tf.reduce_mean(x)})


def bad_labels(folder: Path) -> None:
    """Labels sorted by score, while scores are not."""
    names = tf.constant(["low", "high"])

    def classify(x):
        order = tf.cast(x > 0.5, tf.int32)
        return {"classes": tf.gather(names, tf.stack([order, 1 - order], 1)), "scores": tf.stack([x, 1 - x], 1)}

    simple(folder, classify)


def bad_labels_moved(folder: Path) -> None:
    """The labels of ``labelled`` in another order, with their scores: right, and not what callers are used to."""
    labelled(folder, ["high", "low"])


def labelled(folder: Path, names: list[str]) -> None:
    def classify(x):
        scores = {"low": 1 - x, "high": x}
        classes = tf.tile(tf.constant([names]), [tf.size(x), 1])
        return {"classes": classes, "scores": tf.stack([scores[name] for name in names], 1)}

    simple(folder, classify)


def bad_promise(folder: Path) -> None:
    path = simple(folder, half_plus_two)

    def promise(model):
        shape = model.meta_graphs[0].signature_def["serving_default"].outputs["y"].tensor_shape
        shape.dim.add(size=5)

    edited(path, promise)


def bad_initializer(folder: Path) -> None:
    """A table whose file is fine when it is written, and has a key twice when it is loaded."""
    good_text(folder)
    (folder / "1/assets" / f"{folder.name}.txt").write_text("same\nsame\n")


def bad_warmup_at_run(folder: Path) -> None:
    """A warmup request that fits the signature, and that the graph refuses."""

    def positive(x):
        with tf.control_dependencies([tf.debugging.assert_positive(x, message="x has to be positive")]):
            return half_plus_two(tf.identity(x))

    path = simple(folder, positive)
    write_warmup(path, np.array([-1], np.float32))


def bad_warmup(folder: Path) -> None:
    write_warmup(simple(folder, half_plus_two), np.array([1], np.int64))


def write_warmup(path: Path, x: np.ndarray) -> None:
    from tfs_deploy import protos
    from tfs_deploy.codec import encode_predict_request
    from tfs_deploy.savedmodel.formats.tfrecord import write_records

    log = protos.PredictionLog()
    log.predict_log.request.ParseFromString(encode_predict_request("m", {"x": x}, signature="serving_default"))
    (path / "assets.extra").mkdir(exist_ok=True)
    write_records(path / "assets.extra/tf_serving_warmup_requests", [log.SerializeToString()])


def good_warmed(folder: Path) -> None:
    """Takes only what nobody would make up, and has it in its warmup file."""

    def answer(x):
        with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[1] % 7, 0, message="no week")]):
            return {"y": tf.reduce_sum(tf.identity(x), 1)}

    path = simple(folder, answer, tf.TensorSpec([None, None], tf.float32, name="x"))
    write_warmup(path, np.arange(14, dtype=np.float32).reshape(2, 7))


def bad_slow(folder: Path) -> None:
    def slowly(x):
        matrix = tf.eye(128) * 0.5
        _, total = tf.while_loop(
            lambda n, _: n < 400,
            lambda n, t: (n + 1, t @ matrix),
            (tf.constant(0), tf.eye(128) + tf.reduce_mean(x) * 0),
        )
        return {"y": x / 2 + 2 + tf.reduce_sum(total) * 0}

    simple(folder, slowly)


def bad_recorded(folder: Path) -> None:
    """Answers recorded of x / 2 + 2, and a graph that computes x / 2 + 3."""
    path = simple(folder, lambda x: {"y": x / 2 + 3})
    x = np.array([1, 2], np.float32)
    write_goldens(path, [Golden("serving_default", {"x": x}, {"y": x / 2 + 2})])


def bad_python_function(folder: Path) -> None:
    def call(x):
        y = tf.numpy_function(lambda value: value / 2 + 2, [x], tf.float32)
        return {"y": tf.ensure_shape(y, [None])}

    simple(folder, call)


def bad_custom_op(folder: Path) -> None:
    def rename(model):
        nodes = [node for f in model.meta_graphs[0].graph_def.library.function for node in f.node_def]
        for node in nodes:
            node.op = "HouseMadeOp" if node.op in ("AddV2", "RealDiv") else node.op

    edited(simple(folder, half_plus_two), rename)


def bad_renamed_output(folder: Path) -> None:
    simple(folder, lambda x: {"z": x / 2 + 2})


def bad_other_dtype(folder: Path) -> None:
    simple(folder, lambda x: half_plus_two(tf.cast(x, tf.float32)), tf.TensorSpec([None], tf.float64, name="x"))


def bad_no_signature(folder: Path) -> None:
    tf.saved_model.save(tf.Module(), str(folder / "1"))


def bad_tags(folder: Path) -> None:
    def tag(model):
        model.meta_graphs[0].meta_info_def.tags[:] = ["train"]

    edited(simple(folder, half_plus_two), tag)


def bad_compiled(folder: Path) -> None:
    """Needs a server that compiles with XLA."""
    module = tf.Module()
    module.serve = tf.function(half_plus_two, input_signature=[VECTOR], jit_compile=True)
    tf.saved_model.save(module, str(folder / "1"), signatures=module.serve)


def bad_blob(folder: Path) -> None:
    """Returns binary data under a name that REST takes for text."""
    simple(folder, lambda x: {"blob": tf.map_fn(tf.io.serialize_tensor, x, fn_output_signature=tf.string)})


def good_crossed(folder: Path) -> None:
    """Scores each user for each item."""
    specs = [tf.TensorSpec([None, 4], tf.float32, name=name) for name in ("users", "items")]
    save(folder, {"serving_default": (lambda u, i: {"scores": u @ tf.transpose(i)}, specs)})


def good_sound(folder: Path) -> None:
    """Has an answer only for sounds of at least one frame."""

    def level(wave):
        return {"level": tf.reduce_mean(tf.abs(tf.signal.stft(wave, 1024, 512)), [1, 2])}

    simple(folder, level, tf.TensorSpec([None, None], tf.float32, name="wave"))


def good_scale(folder: Path) -> None:
    """Divides by a number for the whole request."""
    specs = [tf.TensorSpec([None, 4], tf.float32, name="x"), tf.TensorSpec([], tf.float32, name="scale")]
    save(folder, {"serving_default": (lambda x, scale: {"y": x / scale}, specs)})


def good_raw_text(folder: Path) -> None:
    """Classifies text that it takes as it is, not inside a tf.Example."""
    with tf.Graph().as_default(), v1.Session() as session:
        text = v1.placeholder(tf.string, (None,), name="content")
        length = tf.cast(tf.strings.length(text), tf.float32)
        scores = tf.nn.softmax(tf.stack([length, 5 - length], 1))
        classes = tf.tile([["long", "short"]], [tf.shape(text)[0], 1])
        builder = v1.saved_model.Builder(str(folder / "1"))
        signature = v1.saved_model.classification_signature_def(text, classes, scores)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def main(folder: Path) -> None:
    for name, make in list(globals().items()):
        if name.startswith(("good_", "bad_")):
            target = folder / name
            target.mkdir(parents=True)
            make(target)
    labelled(folder / "labelled", ["low", "high"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
