"""Several sources together: what they list at one moment, and the file that a name means."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from onnxplain.graphops.errors import MissingModel, UnsupportedModel, nearest
from onnxplain.registry.names import parse_name, version_number
from onnxplain.registry.source import ModelSource, ModelVersion

__all__ = ["Listing", "open_named"]

CLASH = "two of the service's folders have this version: remove it from one of them"


def open_named(sources: Sequence[ModelSource], name: str) -> tuple[str, Path]:
    """Return the full name and the file of the version that a resource name means.

    The sources are listed only where the name does not say which version.

    Args:
        sources: the sources.
        name: `models/{model}/versions/{version}`, or `models/{model}` for the newest version.

    Returns:
        The name with the version, and the path of the ONNX file, on this machine.

    Raises:
        InputError: the name is not of that form.
        MissingModel: there is no such model or version.
        UnsupportedModel: it has a problem that keeps it from being opened.
    """
    model, text = parse_name(name)
    number = None if text is None else version_number(text)
    if number is not None:
        version, paths = ModelVersion(model, number), []
        for source in sources:
            with contextlib.suppress(MissingModel):
                paths.append(source.open(version))
        if len(paths) == 1:
            return version.name, paths[0]
    listing = Listing(sources)
    version = listing.find(name)
    return version.name, listing.open(version)


class Listing:
    """What several sources list now. It stays as it is when they change.

    Args:
        sources: the sources; a version that two of them have is a problem.

    Raises:
        Nothing.
    """

    def __init__(self, sources: Sequence[ModelSource]) -> None:
        self._models: dict[str, dict[int, ModelVersion]] = {}
        self._sources: dict[str, ModelSource] = {}
        for source in sources:
            for version in source.list():
                versions = self._models.setdefault(version.model, {})
                if version.number in versions:
                    version = replace(version, problem=CLASH)
                versions[version.number] = version
                self._sources[version.name] = source

    def __iter__(self) -> Iterator[ModelVersion]:
        """Yield every version by name, the newest of each model last."""
        for _, versions in sorted(self._models.items()):
            for _, version in sorted(versions.items()):
                yield version

    def __contains__(self, model: str) -> bool:
        """Tell whether there is a model of that own name."""
        return model in self._models

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """Return the versions of a model.

        Args:
            model: the model's own name.

        Returns:
            The versions, the newest last.

        Raises:
            MissingModel: there is no such model.
        """
        if model not in self._models:
            raise MissingModel(f"no model '{model}' ({nearest(model, self._models)})")
        return [version for _, version in sorted(self._models[model].items())]

    def find(self, name: str) -> ModelVersion:
        """Return the version that a resource name means.

        Args:
            name: `models/{model}/versions/{version}`, or `models/{model}` for the newest version.

        Returns:
            The version.

        Raises:
            InputError: the name is not of that form.
            MissingModel: there is no such model or version.
        """
        # The name is only compared with what is listed, so it cannot lead out of a folder.
        model, number = parse_name(name)
        versions = self.versions(model)
        if number is None:
            return versions[-1]
        for version in versions:
            if str(version.number) == number:
                return version
        known = ", ".join(str(version.number) for version in versions)
        raise MissingModel(f"no version '{number}' of model '{model}': it has {known}")

    def source(self, version: ModelVersion) -> ModelSource:
        """Return the source of a version.

        Args:
            version: one of this listing.

        Returns:
            The source that listed it.

        Raises:
            KeyError: it is of another listing.
        """
        return self._sources[version.name]

    def open(self, version: ModelVersion) -> Path:
        """Return the file of a version, on this machine.

        Args:
            version: one of this listing.

        Returns:
            The path of the ONNX file.

        Raises:
            MissingModel: it has been removed meanwhile.
            UnsupportedModel: it has a problem that keeps it from being opened.
        """
        if version.problem:
            raise UnsupportedModel(version.problem)
        return self.source(version).open(version)
