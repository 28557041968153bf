# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy predict`` against a running server: what it prints, what it says of mistakes, how it exits."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tfs_deploy.cli.main import run


@pytest.fixture
def predict(served, capsys):
    """Run the command in this process; returns exit code, stdout and stderr."""

    def call(*arguments, rest=False, address=None):
        where = address or (served.rest if rest else served.grpc)
        code = run(["predict", where, *arguments, *(["--rest"] if rest else [])])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_table(predict):
    code, out, err = predict("half_plus_two", "--input", "x=[1, 2, 5]", "--label", "stable")
    assert code == 0
    assert re.fullmatch(
        r"half_plus_two version 123, serving_default \(grpc, \d+\.\d ms\)\n\ny  float32 \[3\]\n  \[2\.5 3\.  4\.5\]\n",
        out,
    )
    assert err == ""


@pytest.mark.parametrize("rest", [False, True])
def test_json(predict, rest):
    code, out, _ = predict("zoo", "-i", "a=[1.5,-1]", "-i", "b=[2,3]", "--signature", "two", "--json", rest=rest)
    document = json.loads(out)
    assert code == 0
    assert document.pop("milliseconds") > 0
    assert document == {
        "model": "zoo",
        "version": None if rest else 2,
        "signature": "two",
        "transport": "rest" if rest else "grpc",
        "outputs": {
            "pos": {"dtype": "bool", "shape": [2], "values": [True, False]},
            "s": {"dtype": "float32", "shape": [2], "values": [3.5, 2.0]},
        },
    }


def test_json_is_strict_where_values_are_not(predict):
    """NaN and infinities have no place in JSON, nor have complex numbers and bytes."""
    _, out, _ = predict("zoo", "-i", "x=[1,-1,0]", "--signature", "div0", "-o", "json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert document["outputs"]["y"]["values"] == ["Infinity", "-Infinity", "NaN"]
    _, out, _ = predict("zoo", "-i", "x=[1.5]", "--signature", "cplx", "--json")
    assert json.loads(out)["outputs"]["y"]["values"] == [[1.5, 1.5]]
    _, out, _ = predict("zoo", "-i", "x=[1.5]", "--signature", "bf16", "--json")
    assert json.loads(out)["outputs"]["y"] == {"dtype": "bfloat16", "shape": [1], "values": [1.5]}


def test_single_values_become_a_batch(predict):
    code, out, _ = predict("zoo", "-i", "x=1", "--json")
    assert json.loads(out)["outputs"]["y"]["values"] == [3.5]
    code, out, _ = predict("zoo", "-i", "m=[1,2,3]", "--signature", "mat", "--json")
    assert json.loads(out)["outputs"]["sum"]["values"] == [6.0]
    code, out, _ = predict("zoo", "-i", "x=1", "--signature", "scalar", "--json")
    assert (code, json.loads(out)["outputs"]["y"]["shape"]) == (0, [])


@pytest.mark.parametrize("typed", ["hello", '"hello"', '["hello"]'])
def test_text(predict, typed):
    code, out, _ = predict("zoo", "-i", f"txt={typed}", "--signature", "strs", "--filter", "upper")
    assert code == 0
    assert "upper  string [1]\n  ['HELLO']" in out
    assert "raw_bytes" not in out


def test_text_that_looks_like_a_number(predict):
    _, out, _ = predict("zoo", "-i", "txt=123", "--signature", "strs", "--json")
    assert json.loads(out)["outputs"]["upper"]["values"] == ["123"]


def test_files(predict, tmp_path):
    np.save(tmp_path / "x.npy", np.array([2, 4], np.float32))
    np.savez(tmp_path / "both.npz", a=np.ones(1, np.float32), b=np.array([2]))
    (tmp_path / "x.json").write_text("[2, 4]")
    (tmp_path / "image.jpg").write_bytes(b"\xff\xd8\xff\xe0 no real image")
    for name in ("x.npy", "x.json"):
        _, out, _ = predict("zoo", "-i", f"x=@{tmp_path / name}", "--json")
        assert json.loads(out)["outputs"]["y"]["values"] == [4.0, 5.0]
        _, out, _ = predict("zoo", "-i", f"@{tmp_path / name}", "--json")  # the only input there is
        assert json.loads(out)["outputs"]["y"]["values"] == [4.0, 5.0]
    code, _, err = predict("zoo", "-i", f"@{tmp_path / 'x.npy'}", "--signature", "two")
    assert code == 2
    assert "--input @x.npy does not name its input; the inputs are a, b" in err
    _, out, _ = predict("zoo", "-i", f"@{tmp_path / 'both.npz'}", "--signature", "two", "--json")
    assert json.loads(out)["outputs"]["s"]["values"] == [3.0]
    _, out, _ = predict("zoo", "-i", f"b=@{tmp_path / 'both.npz'}", "-i", "a=1", "--signature", "two", "--json")
    assert json.loads(out)["outputs"]["s"]["values"] == [3.0]
    _, out, _ = predict("zoo", "-i", f"img_bytes=@{tmp_path / 'image.jpg'}", "--signature", "strlen", "--json")
    assert json.loads(out)["outputs"]["n"]["values"] == [18]
    _, out, _ = predict("zoo", "-i", f"txt=@{tmp_path / 'image.jpg'}", "--signature", "strs", "--json", rest=True)
    assert json.loads(out)["outputs"]["raw_bytes"]["values"] == [{"b64": "/9j/4CBubyByZWFsIGltYWdl"}]


def test_outputs_in_a_file(predict, tmp_path):
    path = tmp_path / "reply.npz"
    code, out, _ = predict("zoo", "-i", 'txt=["a","bc"]', "--signature", "strs", "-o", str(path))
    assert code == 0
    assert f"written to {path}" in out
    with np.load(path, allow_pickle=False) as saved:
        assert saved["upper"].tolist() == [b"A", b"BC"]


def test_quiet_prints_nothing(predict):
    assert predict("zoo", "-i", "x=1", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["nosuch", "-i", "x=1"], "Servable not found for request: Latest(nosuch)", "tfs-deploy status"),
        (
            ["zoo", "-i", "x=1", "--version", "9"],
            "Specific(zoo, 9)",
            "the server has these versions of zoo: version 2 AVAILABLE",
        ),
        (["zoo", "-i", "x=1", "--label", "prod"], "Unrecognized servable version label: prod", "tfs-deploy status"),
        (["zoo", "-i", "x=1", "--label", "a", "--version", "1"], "a version or a label, not both", "drop one"),
        (["zoo", "-i", "x=1", "--signature", "strz"], "zoo has no signature strz", "did you mean signature strs?"),
        (["zoo", "-i", "img=a", "--signature", "strlen"], "has no input img", "did you mean input img_bytes?"),
        (["zoo"], "needs the input x (float32 [?])", "add x to the inputs"),
        (["zoo", "-i", "x=abc"], "input x expects float32 [?], got strings", "give float32 values"),
        (["zoo", "-i", "m=[[1,2]]", "--signature", "mat"], "expects float32 [?, 3], got float32 [1, 2]", None),
        (["zoo", "-i", "x"], "--input x is not NAME=VALUE", "for example"),
        (["zoo", "-i", "x=1", "-i", "x=2"], "input x is given twice", None),
        (["zoo", "-i", "x=@nowhere.npy"], "nowhere.npy cannot be read: No such file", None),
        (["zoo", "-i", "@nowhere.json"], "nowhere.json cannot be read", None),
        (["zoo", "-i", "x=1", "-o", "reply.csv"], "neither table, json nor the path of an .npz file", None),
        (["zoo", "-i", "x=1", "-o", "nowhere/reply.npz"], "the directory of nowhere/reply.npz does not exist", "mkdir"),
    ],
)
def test_mistakes_exit_with_2(predict, tmp_path, monkeypatch, arguments, message, hint):
    monkeypatch.chdir(tmp_path)
    for rest in (False, True):
        code, out, err = predict(*arguments, rest=rest)
        assert code == 2
        assert out == ""
        assert err.startswith("error: ")
        assert message in err
        assert hint is None or f"hint: {hint}"[:6] in err
        assert hint is None or hint in err
        assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"no array", "is not a valid .npy file of numbers"),
        ("x.npz", b"no archive", "is not a valid .npz file of numbers"),
        ("x.json", b"[1,", "is not valid JSON"),
        ("x.png", b"\x89PNG", "input x expects float32 [?], x.png can only be sent as a string"),
    ],
)
def test_damaged_files(predict, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    code, _, err = predict("zoo", "-i", f"x=@{path}")
    assert code == 2
    assert message in err


def test_pickles_are_refused(predict, tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    code, _, err = predict("zoo", "-i", f"x=@{tmp_path / 'x.npy'}")
    assert code == 2
    assert "is not a valid .npy file of numbers" in err


def test_an_unreachable_server_exits_with_3(predict, free_port):
    for rest in (False, True):
        code, out, err = predict("zoo", "-i", "x=1", "--json", rest=rest, address=f"127.0.0.1:{free_port}")
        assert code == 3
        assert json.loads(out)["error"]["retriable"] is True
        assert f"cannot reach 127.0.0.1:{free_port}" in err
        assert "is the server running" in err


def test_a_wrong_port_exits_with_3(predict, served):
    code, _, err = predict("zoo", "-i", "x=1", address=served.rest)
    assert code == 3
    assert "speaks HTTP/1, not gRPC" in err
    assert "--rest" in err


def test_the_real_command(served):
    command = [sys.executable, "-m", "tfs_deploy", "predict", served.grpc, "zoo", "-i", "x=2", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["outputs"]["y"]["values"] == [4.0]
