"""Manifests: what a repository deploys, in which form, and what makes a blocked event loop worse there."""

from servelint.manifests.analysis import ManifestResult, Manifests, judge, read
from servelint.manifests.fixes.verify import verify

__all__ = ["ManifestResult", "Manifests", "judge", "read", "verify"]
