# SPDX-License-Identifier: Apache-2.0
"""What a deployment file may say and rarely means is told, and does not refuse the file."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment, load_with_advice
from tfs_deploy.errors import SpecError
from tfs_deploy.state.active import active_path, in_force, write_active

CONTAINER = "server: {target: docker, docker: {image: 'own/image:1'%s}%s}\n"
MODEL = "name: a\nmodels:\n  - name: m\n    base_path: m\n"
CASES = {
    "two versions without labels": (
        MODEL + "    versions: {specific: [1, 2]}\n",
        "5: models[0].versions: requests without a label all go to version 2, the highest of 2 loaded ones",
    ),
    "the highest is the canary": (
        MODEL + "    versions: {specific: [1, 2]}\n    labels: {stable: 1, canary: 2}\n",
        "5: models[0].versions: requests without a label all go to version 2 (canary), the highest of 2 loaded ones",
    ),
    "trust, and a server that loads what appears": (
        MODEL + "trust: [key.pem]\n",
        "3: models[0].versions: the server loads newer versions itself, whatever trust says: write specific versions",
    ),
    "platform config over batching": (
        MODEL + "batching: {}\nserver: {platform_config: p}\n",
        "6: server.platform_config: replaces batching, which the server then ignores",
    ),
    "more batch threads than CPUs": (
        MODEL + "batching: {num_batch_threads: 3}\n" + CONTAINER % (", cpus: 2.5", ""),
        "5: batching.num_batch_threads: is more than the container's 2.5 CPUs",
    ),
    "tensor content with REST": (
        MODEL + "server: {flags: {enable_serialization_as_tensor_content: true}}\n",
        "5: server.flags.enable_serialization_as_tensor_content: may break REST predictions",
    ),
    "embedded and open to the network": (
        MODEL + "server: {embedded: {address: '::'}}\n",
        "5: server.embedded.address: any client that reaches it can send requests",
    ),
    "embedded and open to reloads": (
        MODEL + "server: {embedded: {address: 0.0.0.0, remote_reload: true}}\n",
        "5: server.embedded.address: any client that reaches it can send requests and replace the server's config",
    ),
    "embedded settings of a container": (
        MODEL + "server: {target: docker, docker: {image: 'own/image:1'}, embedded: {remote_reload: true}}\n",
        "5: server.embedded: has no effect with target: docker",
    ),
    "open to the network": (
        MODEL + CONTAINER % (", address: 0.0.0.0", ""),
        "5: server.docker.address: any client that reaches it can send requests and replace the server's config",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_may_surprise_is_said_with_its_line(tmp_path, text, expected):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    deployment, advice = load_with_advice(path, check_disk=False)
    assert deployment.name == "a"
    assert [str(problem) for problem in advice] == [f"{path}:{expected}"]


@pytest.mark.parametrize(
    "text",
    [
        MODEL + "    versions: {specific: [1]}\n",
        MODEL + "    versions: {specific: [1, 2]}\n    labels: {stable: 2}\n",
        MODEL + CONTAINER % (", address: '::1'", ""),
        MODEL + CONTAINER % (", address: 0.0.0.0", "") + "ssl: {key: k, cert: c, ca: c, client_verify: true}\n",
    ],
)
def test_what_is_fine_is_not_talked_about(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert load_with_advice(path, check_disk=False)[1] == []


def test_versions_on_disk_count_where_the_policy_names_none(tmp_path):
    for number in (1, 2):
        (tmp_path / f"m/{number}").mkdir(parents=True)
    path = tmp_path / "a.yaml"
    path.write_text(MODEL + "    versions: all\n")
    (problem,) = load_with_advice(path, check_disk=False)[1]
    assert "all go to version 2" in problem.message


@pytest.mark.parametrize("image", ["tensorflow/serving", "tensorflow/serving:latest", "tensorflow/serving:nightly-gpu"])
def test_an_image_that_changes_is_refused_where_something_is_started_with_it(tmp_path, image):
    (tmp_path / "m/1").mkdir(parents=True)
    (tmp_path / "m/1/saved_model.pb").touch()
    path = tmp_path / "a.yaml"
    gpus = ", gpus: all" if image.endswith("gpu") else ""
    path.write_text(
        f"name: a\nmodels: [{{name: m, base_path: m}}]\nserver:\n  target: docker\n"
        f"  docker: {{image: '{image}'{gpus}}}\n"
    )
    assert load_deployment(path).server.docker.image == image
    assert load_deployment(path, check_disk=True, allow_latest=True)
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=True)
    (problem,) = caught.value.problems
    assert problem.line == 5
    assert "is mutable: pin a version or digest (or --allow-latest)" in problem.message


def test_versions_and_labels_are_judged_as_a_rollout_left_them(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(MODEL + "    versions: {specific: [1, 2]}\n    labels: {stable: 1, canary: 2}\n")
    (problem,) = load_with_advice(path, check_disk=False, in_force=in_force)[1]
    assert "all go to version 2 (canary)" in problem.message

    deployment = load_deployment(path)
    (model,) = deployment.models
    deployment.state_dir.mkdir(parents=True)
    write_active(deployment.state_dir, {model.name: ActiveModel.of(model, (1,), {"stable": 1, "canary": 1})})
    assert load_with_advice(path, check_disk=False, in_force=in_force)[1] == []

    active_path(deployment.state_dir).write_text("{")  # the commands that act on it say so
    assert len(load_with_advice(path, check_disk=False, in_force=in_force)[1]) == 1
