# SPDX-License-Identifier: Apache-2.0
"""Every way into a version directory: exported, linted, loaded here and served, with the original's values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from support.live import free_ports
from tfs_deploy.export import classify_examples, from_examples, from_image_bytes, regress_examples, with_vocabulary
from tfs_deploy.launch import EmbeddedLauncher, RunningServer
from tfs_deploy.savedmodel.lint import Severity, lint_model
from tfs_deploy.savedmodel.manifest import verify_manifest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
v1 = tf.compat.v1
pytestmark = [
    pytest.mark.tensorflow,
    # Keras' own, with the newest numpy
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

ROWS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
IMAGES = (np.arange(2 * 8 * 8 * 3).reshape(2, 8, 8, 3) * 7 % 256).astype(np.uint8)
LABELS = ["cat", "dog", "owl"]


@dataclass
class Case:
    """A source, how it is exported, examples whose answers must not change; ``expected`` overrules the original's."""

    source: Any
    examples: dict[str, dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, set[str]] = field(default_factory=dict)


def functional() -> Any:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,), name="row")
    hidden = keras.layers.Dense(5, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="probabilities")(hidden))


def image_model() -> Any:
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="probabilities")(pooled))


def serialized(rows: np.ndarray, name: str) -> list[bytes]:
    feature = tf.train.Feature
    return [
        tf.train.Example(
            features=tf.train.Features(feature={name: feature(float_list=tf.train.FloatList(value=row))})
        ).SerializeToString()
        for row in rows
    ]


def keras_functional(folder: Path) -> Case:
    model = functional()
    return Case(model, {"serving_default": {"row": ROWS}}, expected={"serving_default": {"probabilities": model(ROWS)}})


def keras_sequential_without_input(folder: Path) -> Case:
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Softmax()])
    model(ROWS)  # its batch of six must not be the only one it takes
    signature = td.Signature(inputs=["row"], outputs="probabilities")
    return Case(model, {"serving_default": {"row": ROWS[:2]}}, {"signatures": {"serving_default": signature}})


def keras_subclassed(folder: Path) -> Case:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.dropout = keras.layers.Dropout(0.9)

        def build(self, input_shape: Any) -> None:
            self.dense.build(input_shape)

        def call(self, row: Any, training: bool = False) -> Any:
            return {"score": self.dropout(self.dense(row), training=training), "double": row * 2}

    model = Two()
    model(ROWS)
    return Case(model, {"serving_default": {"row": ROWS[:3]}}, outputs={"serving_default": {"score", "double"}})


def keras_many_inputs(folder: Path) -> Case:
    a, b = keras.Input((4,), name="a"), keras.Input((1,), name="b", dtype="int32")
    both = keras.layers.Concatenate()([a, keras.ops.cast(b, "float32")])
    outputs = {"score": keras.layers.Dense(1)(both), "total": keras.ops.sum(both, axis=1)}
    return Case(keras.Model({"a": a, "b": b}, outputs), {"serving_default": {"a": ROWS[:2], "b": np.int32([[1], [2]])}})


def keras_file(folder: Path) -> Case:
    model = functional()
    model.save(folder / "m.keras")
    return Case(
        folder / "m.keras",
        {"serving_default": {"row": ROWS}},
        expected={"serving_default": {"probabilities": model(ROWS)}},
    )


def h5_file(folder: Path) -> Case:
    model = functional()
    model.compile("sgd", "mse")
    model.save(folder / "m.h5")
    return Case(
        str(folder / "m.h5"),
        {"serving_default": {"row": ROWS}},
        expected={"serving_default": {"probabilities": model(ROWS)}},
    )


class Counter(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scale(self, x: Any) -> Any:
        return {"y": x * self.factor}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([], tf.float32, name="by")]
    )
    def shift(self, x: Any, by: Any) -> Any:
        return {"y": x * self.factor + by}


def tf_module(folder: Path) -> Case:
    examples = {"scale": {"x": [1.0, 2.0]}, "shift": {"x": [1.0], "by": 0.5}}
    signatures = {"serving_default": "scale", "scale": "scale", "shift": "shift"}
    return Case(Counter(), examples, {"signatures": signatures}, {"shift": {"y": [2.5]}})


def tf_functions_over_one_variable(folder: Path) -> Case:
    weight = tf.Variable([[1.0], [2.0], [3.0], [4.0]])

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def score(row):
        if tf.reduce_sum(row) > 1000.0:  # becomes part of the graph
            return {"score": tf.zeros([1, 1])}
        return {"score": row @ weight}

    @tf.function
    def sign(row):
        return tf.sign(row @ weight)

    signature = td.Signature(sign, inputs={"row": ("float32", (None, 4))}, outputs=("sign",))
    signatures = {"serving_default": td.Signature(score), "sign": signature}
    return Case({"score": score}, {"serving_default": {"row": ROWS}, "sign": {"row": ROWS}}, {"signatures": signatures})


def vocabulary_layer(folder: Path) -> Case:
    model = keras.Sequential(
        [keras.Input((), dtype="string", name="word"), keras.layers.StringLookup(vocabulary=LABELS)]
    )
    labels = td.Signature(lambda word: {"number": model(word)}, inputs={"word": (str, (None,))})
    back = with_vocabulary(keras.layers.StringLookup(vocabulary=LABELS), labels, output="number")
    return Case(
        model,
        {"serving_default": {"word": ["owl", "cat", "cow"]}},
        {"signatures": {"serving_default": back}},
        {"serving_default": {"label": [b"owl", b"cat", b"[UNK]"]}},
    )


def wrappers(folder: Path) -> Case:
    model = image_model()
    (folder / "labels.txt").write_text("\n".join(LABELS))
    pictures = [tf.io.encode_png(image).numpy() for image in IMAGES]
    from_bytes = from_image_bytes((8, 8), 3)
    signatures = {
        "serving_default": with_vocabulary(folder / "labels.txt", from_bytes),
        "examples": from_examples({"image": ("float32", (None, 8, 8, 3))}),
        "classify": classify_examples(LABELS),
        "regress": regress_examples(
            td.Signature(lambda image: {"brightness": tf.reduce_mean(image, [1, 2, 3])}), output="brightness"
        ),
    }
    floats = (IMAGES / 255).astype(np.float32)
    features = serialized(floats.reshape(2, -1), "image")
    scores = model(floats)
    return Case(
        model,
        {
            "serving_default": {"image_bytes": pictures},
            "examples": {"examples": features},
            "classify": {"inputs": features},
            "regress": {"inputs": features},
        },
        {"signatures": signatures},
        {
            "serving_default": {"probabilities": scores, "label": [LABELS[n].encode() for n in np.argmax(scores, 1)]},
            "classify": {"scores": scores, "classes": np.array([LABELS, LABELS], "S").astype(object)},
            "regress": {"outputs": floats.mean((1, 2, 3))},
        },
        outputs={"classify": {"scores", "classes"}, "regress": {"outputs"}},
    )


def saved_model_copy(folder: Path) -> Case:
    module = Counter()
    tf.saved_model.save(module, str(folder / "export" / "1699999999"), signatures={"serving_default": module.scale})
    return Case(folder / "export", {"serving_default": {"x": [1.0]}}, expected={"serving_default": {"y": [2.0]}})


def keras_export_renamed(folder: Path) -> Case:
    model = functional()
    model.export(str(folder / "export"))
    signature = td.Signature(inputs={"row": "row"}, outputs={"probabilities": "output_0"})
    return Case(
        folder / "export",
        {"serving_default": {"row": ROWS}},
        {"signatures": {"serving_default": signature}},
        {"serving_default": {"probabilities": model(ROWS)}},
    )


def live_session(folder: Path) -> Case:
    graph, session, x, scores, word = tf1_model(folder)
    graph.finalize()
    signatures = {
        "serving_default": td.Signature(inputs={"x": x}, outputs={"scores": scores, "label": "label"}),
        "word": td.Signature(inputs={"x": "x:0"}, outputs={"word": word}),
    }
    return Case(session, {"serving_default": {"x": ROWS}, "word": {"x": ROWS}}, {"signatures": signatures})


def tf1_model(folder: Path) -> tuple[Any, Any, Any, Any, Any]:
    (folder / "words.txt").write_text("\n".join(LABELS))
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        kernel = v1.get_variable("kernel", [4, 3], use_resource=False)
        bias = v1.get_variable("bias", initializer=[0.1, 0.2, 0.3], use_resource=True)
        scores = tf.nn.softmax(tf.matmul(x, kernel) + bias, name="scores")
        label = tf.argmax(scores, 1, name="label")
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(folder / "words.txt"), tf.int64, -1, tf.string, -2), "?"
        )
        word = tf.identity(table.lookup(label), name="word")
        wanted = v1.placeholder(tf.float32, [None, 3])
        v1.train.AdamOptimizer().minimize(tf.reduce_mean((scores - wanted) ** 2))
        session = v1.Session(graph=graph)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    return graph, session, x, scores, word


TF1_SIGNATURES = {
    "serving_default": td.Signature(inputs={"x": "x"}, outputs={"scores": "scores", "label": "label:0"}),
}


def checkpoint(folder: Path) -> Case:
    graph, session, *_ = tf1_model(folder)
    with graph.as_default():
        v1.train.Saver().save(session, str(folder / "train" / "model.ckpt"), global_step=7)
    options = {"signatures": TF1_SIGNATURES}
    expected = session.run({"scores": "scores:0", "label": "label:0"}, {"x:0": ROWS})
    return Case(folder / "train", {"serving_default": {"x": ROWS}}, options, {"serving_default": expected})


def frozen_graph(folder: Path) -> Case:
    graph, session, *_ = tf1_model(folder)
    names = ["scores", "label"]
    frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)
    (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
    return Case(folder / "frozen.pb", {"serving_default": {"x": ROWS}}, {"signatures": TF1_SIGNATURES})


def tf1_saved_model_with_tag_sets(folder: Path) -> Case:
    """Two meta graphs over the same variables; the one that is served gets other signatures."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.multiply(x, v1.get_variable("factor", initializer=3.0), name="y")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y, "z": y + 1})
        builder = v1.saved_model.Builder(str(folder / "both"))
        builder.add_meta_graph_and_variables(session, ["train"], {"train": signature})
        builder.add_meta_graph(["serve"], {"serving_default": signature})
        builder.save()
    renamed = td.Signature("serving_default", inputs={"value": "x"}, outputs={"tripled": "y"})
    return Case(
        folder / "both",
        {"serving_default": {"value": [1.0, 2.0]}},
        {"signatures": {"serving_default": renamed}},
        {"serving_default": {"tripled": [3.0, 6.0]}},
    )


def wrappers_around_tf1_with_tables(folder: Path) -> Case:
    """A SavedModel of TensorFlow 1 whose table is filled from a file, with tf.Examples in and labels out."""
    graph, session, x, scores, word = tf1_model(folder)
    with graph.as_default():
        builder = v1.saved_model.Builder(str(folder / "saved"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"scores": scores, "word": word})
        builder.add_meta_graph_and_variables(
            *(session, ["serve"], {"serving_default": signature}),
            main_op=v1.tables_initializer(),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            strip_default_attrs=True,
        )
        builder.save()
    expected = session.run({"scores": scores, "word": word}, {x: ROWS})
    labels = [LABELS[number].upper().encode() for number in np.argmax(expected["scores"], 1)]
    wrapped = with_vocabulary(
        [label.upper() for label in LABELS], from_examples(None, "serving_default"), output="scores"
    )
    return Case(
        folder / "saved",
        {"serving_default": {"examples": serialized(ROWS, "x")}},
        {"signatures": {"serving_default": wrapped}},
        {"serving_default": {**expected, "label": labels}},
    )


def estimator_export(folder: Path) -> Case:
    """What ``export_saved_model`` of an Estimator wrote: a timestamp, tf.Examples, three methods."""
    constants = v1.saved_model.signature_constants
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="input_example_tensor")
        features = v1.parse_example(examples, {"row": tf.io.FixedLenFeature([4], tf.float32)})
        kernel = v1.get_variable("linear/kernel", [4, 3])
        scores = tf.nn.softmax(tf.matmul(features["row"], kernel), name="head/scores")
        classes = tf.tile(tf.constant([LABELS]), [tf.shape(scores)[0], 1])
        session.run(v1.global_variables_initializer())
        classify = v1.saved_model.classification_signature_def(examples, classes, scores)
        regress = v1.saved_model.regression_signature_def(examples, scores[:, 0])
        predict = v1.saved_model.predict_signature_def({"examples": examples}, {"probabilities": scores})
        builder = v1.saved_model.Builder(str(folder / "export" / "1699999999"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY: classify, "regression": regress, "predict": predict},
        )
        builder.save()
    (folder / "export" / "temp-1700000000").mkdir()
    rows = serialized(ROWS, "row")
    return Case(
        folder / "export",
        {"predict": {"examples": rows}, "serving_default": {"inputs": rows}, "regression": {"inputs": rows}},
        outputs={"serving_default": {"classes", "scores"}, "regression": {"outputs"}, "predict": {"probabilities"}},
    )


CASES: list[Callable[[Path], Case]] = [
    keras_functional,
    keras_sequential_without_input,
    keras_subclassed,
    keras_many_inputs,
    keras_file,
    h5_file,
    tf_module,
    tf_functions_over_one_variable,
    vocabulary_layer,
    wrappers,
    saved_model_copy,
    keras_export_renamed,
    live_session,
    checkpoint,
    frozen_graph,
    tf1_saved_model_with_tag_sets,
    wrappers_around_tf1_with_tables,
    estimator_export,
]


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all sources; each test has it load what it exported."""
    grpc_port, rest_port = free_ports(2)
    flags = [
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_base_path={models / 'saved_model_half_plus_two_cpu'}",
    ]
    server = EmbeddedLauncher().start(flags, log_path=tmp_path_factory.mktemp("server") / "log")
    yield server
    server.stop()


def serve(client: td.Client, name: str, base: Path) -> None:
    config = f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" }}'
    client.reload(f"model_config_list {{ {config} }}")
    client.wait_ready(name)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_source_is_exported_linted_loaded_and_served(make, tmp_path, server):
    case = make(tmp_path)
    base = tmp_path / "models" / "one"
    exported = td.export_model(case.source, base, examples=case.examples, **case.options)

    assert exported.path == base / "1"
    assert verify_manifest(exported.path) == []
    info = td.inspect_model(exported.path)
    assert info.signatures == exported.signatures
    findings = lint_model(info)
    assert [finding for finding in findings if finding.severity is Severity.ERROR] == []
    for name, outputs in case.outputs.items():
        assert set(exported.signatures[name].outputs) == outputs

    with td.load_model(base) as model:
        answers = {name: model.predict(inputs, name) for name, inputs in case.examples.items()}
    for name, outputs in case.expected.items():
        for key, values in outputs.items():
            assert_equal(answers[name][key], np.asarray(values))
    with td.Client(server.grpc_address) as grpc, td.RestClient(server.rest_address) as rest:
        serve(grpc, make.__name__, base)
        for client in (grpc, rest):
            for name, inputs in case.examples.items():
                reply = client.predict(make.__name__, inputs, signature=name)
                assert set(reply) == set(answers[name])
                for key, values in answers[name].items():
                    assert_equal(reply[key], values)


def assert_equal(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    if expected.dtype.kind in "OSU":
        assert actual.tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
