"""Where a service's models come from: sources that list versions of models and give their files."""

from onnxplain.registry.folder import FolderSource
from onnxplain.registry.listing import Listing, open_named
from onnxplain.registry.names import full_name, parse_name, version_number
from onnxplain.registry.source import ModelSource, ModelVersion

__all__ = [
    "FolderSource",
    "Listing",
    "ModelSource",
    "ModelVersion",
    "full_name",
    "open_named",
    "parse_name",
    "version_number",
]
