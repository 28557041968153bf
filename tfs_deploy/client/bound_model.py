"""A client bound to one model: ``client.model("digits", label="stable").predict(inputs)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfs_deploy.codec.examples import ExampleLike


class BoundModel:
    """The methods of a client without the model, label, version and signature, which are bound.

    They take the keyword arguments of the client's methods, which win over what is bound. With an asynchronous client
    they return what has to be awaited.
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
        self._where: dict[str, Any] = {}
        if label is not None or version is not None:
            self._where = {"label": label, "version": version}
        self._signature = signature
        self._defaults = defaults

    def predict(self, inputs: Mapping[str, Any], **more: Any) -> Any:
        """Run the signature; see ``BlockingClient.predict``."""
        return self._client.predict(self.name, inputs, **self._called(more))

    def predict_many(self, examples: Iterable[Mapping[str, Any]], **more: Any) -> Any:
        """Predict many examples in batches; see ``BlockingClient.predict_many``."""
        return self._client.predict_many(self.name, examples, **self._called(more))

    def classify(self, examples: Iterable[ExampleLike], **more: Any) -> Any:
        """Classify examples; see ``BlockingClient.classify``."""
        return self._client.classify(self.name, examples, **self._called(more))

    def regress(self, examples: Iterable[ExampleLike], **more: Any) -> Any:
        """Return the value of each example; see ``BlockingClient.regress``."""
        return self._client.regress(self.name, examples, **self._called(more))

    def multi_inference(self, examples: Iterable[ExampleLike], tasks: Sequence[Any], **more: Any) -> Any:
        """Run several signatures on the same examples; see ``BlockingClient.multi_inference``."""
        wanted = {**self._defaults, **self._located(more)}
        return self._client.multi_inference(self.name, examples, tasks, **wanted)

    def metadata(self, **more: Any) -> Any:
        """Return the signatures; see ``BlockingClient.metadata``."""
        return self._client.metadata(self.name, **self._located(more))

    def wait_ready(self, **more: Any) -> Any:
        """Wait until the model answers; see ``BlockingClient.wait_ready``."""
        return self._client.wait_ready(self.name, **self._located(more))

    def status(self, **more: Any) -> Any:
        """Return the states of all versions; see ``BlockingClient.status``."""
        return self._client.status(self.name, **more)

    def __repr__(self) -> str:
        bound = {**self._where, "signature": self._signature, **self._defaults}
        words = [repr(self.name), *(f"{name}={value!r}" for name, value in bound.items() if value is not None)]
        return f"{self._client!r}.model({', '.join(words)})"

    def _located(self, more: dict[str, Any]) -> dict[str, Any]:
        # a label in the call takes the place of a bound version, and the reverse
        return more if "label" in more or "version" in more else {**self._where, **more}

    def _called(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"signature": self._signature, **self._defaults, **self._located(more)}
