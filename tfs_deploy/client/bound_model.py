# SPDX-License-Identifier: Apache-2.0
"""A client bound to one model: ``client.model("digits", label="stable").predict(inputs)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfs_deploy.codec.examples import ExampleLike


class BoundModel:
    """The methods of a client, with the model, label, version and signature bound.

    They take the keyword arguments of the client's methods, which override bound ones. With an asynchronous client
    they return awaitables.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        label: str | None = None,
        version: int | None = None,
        signature: str | None = None,
        **defaults: Any,
    ) -> None:
        self.name = name
        self._client = client
        self._servable: dict[str, Any] = {}
        if label is not None or version is not None:
            self._servable = {"label": label, "version": version}
        self._signature = signature
        self._defaults = defaults

    def predict(self, inputs: Mapping[str, Any], **more: Any) -> Any:
        """Run the signature; see ``Client.predict``."""
        return self._client.predict(self.name, inputs, **self._with_bound(more))

    def predict_many(self, examples: Iterable[Mapping[str, Any]], **more: Any) -> Any:
        """Predict many examples in concurrent batches; see ``Client.predict_many``."""
        return self._client.predict_many(self.name, examples, **self._with_bound(more))

    def classify(self, examples: Iterable[ExampleLike], **more: Any) -> Any:
        """Classify examples; see ``Client.classify``."""
        return self._client.classify(self.name, examples, **self._with_bound(more))

    def regress(self, examples: Iterable[ExampleLike], **more: Any) -> Any:
        """Return the value of each example; see ``Client.regress``."""
        return self._client.regress(self.name, examples, **self._with_bound(more))

    def multi_inference(self, examples: Iterable[ExampleLike], tasks: Sequence[Any], **more: Any) -> Any:
        """Run several signatures on the same examples; see ``Client.multi_inference``."""
        wanted = {**self._defaults, **self._with_servable(more)}
        return self._client.multi_inference(self.name, examples, tasks, **wanted)

    def metadata(self, **more: Any) -> Any:
        """Return the signatures; see ``Client.metadata``."""
        return self._client.metadata(self.name, **self._with_servable(more))

    def wait_ready(self, **more: Any) -> Any:
        """Wait until the model answers; see ``Client.wait_ready``."""
        return self._client.wait_ready(self.name, **self._with_servable(more))

    def status(self, **more: Any) -> Any:
        """Return the states of all versions; see ``Client.status``."""
        return self._client.status(self.name, **more)

    def __repr__(self) -> str:
        bound = {**self._servable, "signature": self._signature, **self._defaults}
        words = [repr(self.name), *(f"{name}={value!r}" for name, value in bound.items() if value is not None)]
        return f"{self._client!r}.model({', '.join(words)})"

    def _with_servable(self, more: dict[str, Any]) -> dict[str, Any]:
        # a label in the call replaces a bound version, and vice versa
        return more if "label" in more or "version" in more else {**self._servable, **more}

    def _with_bound(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"signature": self._signature, **self._defaults, **self._with_servable(more)}
