# SPDX-License-Identifier: Apache-2.0
"""Property: what is exported by name answers as the function does, over generated functions.

Names, orders, nests and defaults are generated from a seed. The function called as plain Python is compared with the
written file, loaded by TensorFlow and called by keyword through its raw signatures: neither knows how the exporter
binds.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pytest

import tfs_deploy as td

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

#: one third of the names cannot be written in Python as keywords of a call
NAMES: Final = (
    "num",
    "den",
    "x",
    "y",
    "inputs",
    "mask",
    "scale",
    "a",
    "b",
    "features",
    "capital-gain",
    "user.id",
    "2d",
)
SPEC: Final = ("float32", (None,))


@dataclass
class Generated:
    """A function whose weights tell its inputs apart, its plain call in Python, and the signature that is asked for."""

    signature: td.Signature
    call: Callable[[dict[str, Any]], dict[str, Any]]
    inputs: list[str]
    outputs: list[str]


def generate(seed: int) -> Generated:
    choose = random.Random(seed)
    shape = choose.choice(["keywords", "keyword_only", "defaults", "order", "dict", "kwargs", "nest", "nest"])
    python = [name for name in NAMES if name.isidentifier()]
    pool = NAMES if shape in ("dict", "nest") else python
    names = choose.sample(pool, choose.randint(2, 4))
    weights = {name: float(10**n) for n, name in enumerate(names)}
    results = choose.sample(["r", "s", "total", "label", "num"], choose.randint(1, 3))
    form = choose.choice(["dict", "list", "tuple", "namedtuple"])
    outputs: Any = choose.sample(results, len(results))
    if form == "dict":
        outputs = choose.choice([None, outputs, {name: name for name in outputs}])
    elif form == "namedtuple":
        outputs = choose.choice([outputs, {name: name for name in outputs}, None])
    else:
        outputs = choose.choice([results, {name: results.index(name) for name in outputs}])

    def compute(values: dict[str, Any]) -> Any:
        total = sum(weights[name] * values[name] for name in names)
        made = {name: total * float(n + 1) for n, name in enumerate(results)}
        if form == "dict":
            return dict(choose_order(made, seed))
        if form == "namedtuple":
            return NamedTuple("Result", [(name, Any) for name in results])(**made)  # type: ignore[misc]
        return list(made.values()) if form == "list" else tuple(made.values())

    function, call = python_function(shape, names, compute, choose)
    listed = choose.sample(names, len(names))
    given: Any = dict.fromkeys(listed, SPEC)
    if shape == "order":  # other names, for arguments in order
        given = {f"in_{name}": SPEC for name in names}
    if shape == "nest":
        given = choose.choice([listed, {name: name for name in listed}, None])
    return Generated(td.Signature(function, inputs=given, outputs=outputs), named(call, results), names, results)


def choose_order(made: dict[str, Any], seed: int) -> list[tuple[str, Any]]:
    entries = list(made.items())
    random.Random(seed).shuffle(entries)
    return entries


def named(call: Callable[[dict[str, Any]], Any], results: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the results of the plain call by the names that the generator gave them."""

    def answer(values: dict[str, Any]) -> dict[str, Any]:
        result = call(values)
        if isinstance(result, dict):
            return result
        return dict(zip(results, result, strict=True))

    return answer


def python_function(
    shape: str, names: list[str], compute: Callable[[dict[str, Any]], Any], choose: random.Random
) -> tuple[Any, Callable[[dict[str, Any]], Any]]:
    """Return a function of a shape, and the plain Python call of it with values by input name."""
    if shape == "dict":

        def of_dict(mapping: dict[str, Any]) -> Any:
            return compute(mapping)

        return of_dict, of_dict
    if shape == "nest":
        return nested_function(names, compute)
    kind, empty = inspect.Parameter, inspect.Parameter.empty
    kinds = {"keyword_only": [kind.POSITIONAL_OR_KEYWORD] + [kind.KEYWORD_ONLY] * 9}.get(
        shape, [kind.POSITIONAL_OR_KEYWORD] * 9
    )
    parameters = [kind(name, kinds[n], default=empty) for n, name in enumerate(names)]
    if shape == "defaults":  # optional arguments that no input may reach by its place
        parameters.append(kind("unset", kind.POSITIONAL_OR_KEYWORD, default=None))
        parameters.append(kind("training", kind.POSITIONAL_OR_KEYWORD, default=False))
    if shape == "kwargs":
        parameters = [kind("more", kind.VAR_KEYWORD)]

    def function(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.Signature(parameters).bind(*args, **kwargs)
        bound.apply_defaults()
        values = dict(bound.arguments.get("more", bound.arguments))
        assert values.pop("unset", None) is None
        assert not values.pop("training", False)
        return compute(values)

    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    if shape == "kwargs" or choose.random() < 0.5:
        return function, lambda values: function(**values)
    return (
        function,
        lambda values: (
            function(*[values[name] for name in names]) if kinds[1] is not kind.KEYWORD_ONLY else function(**values)
        ),
    )


def nested_function(
    names: list[str], compute: Callable[[dict[str, Any]], Any]
) -> tuple[Any, Callable[[dict[str, Any]], Any]]:
    """Return a ``tf.function`` whose first input is an argument and whose others hang in a dict and a list."""
    first, second, *rest = names
    spec = [tf.TensorSpec([None], tf.float32, name=name) for name in names]

    @tf.function(input_signature=[spec[0], {"z": spec[1], "a": spec[2:]}], autograph=False)
    def function(head: Any, tree: Any, training: bool = False) -> Any:
        assert not training
        return compute({first: head, second: tree["z"], **dict(zip(rest, tree["a"], strict=True))})

    def call(values: dict[str, Any]) -> Any:
        return function.python_function(values[first], {"z": values[second], "a": [values[name] for name in rest]})

    return function, call


def check(seeds: range, tmp_path: Any) -> None:
    generated = {f"f{seed}": generate(seed) for seed in seeds}
    exported = td.export_model(
        tf.Module(), tmp_path / "m", signatures={name: one.signature for name, one in generated.items()}, check=False
    )
    loaded = tf.saved_model.load(str(exported.path))
    for name, one in generated.items():
        values = {key: np.float32([n + 2, 7 * n + 3]) for n, key in enumerate(one.inputs)}
        asked = one.signature.inputs
        other = {f"in_{key}": value for key, value in values.items()}
        sent = other if asked is not None and set(asked) == set(other) else values
        answer = loaded.signatures[name](**{key: tf.constant(value) for key, value in sent.items()})
        expected = one.call({key: tf.constant(value) for key, value in values.items()})
        assert answer.keys() == expected.keys(), (name, one)
        for key, value in expected.items():
            np.testing.assert_array_equal(answer[key], value, err_msg=f"{name} {key}: {one}")


def test_generated_functions_answer_as_plain_python_does(tmp_path):
    check(range(200), tmp_path)
