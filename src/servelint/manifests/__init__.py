"""Manifests: what a repository deploys, in which form, and what makes a blocked event loop worse there."""

from servelint.manifests.analysis import ManifestResult, analyze
from servelint.manifests.verify import verify

__all__ = ["ManifestResult", "analyze", "verify"]
