"""The rules about manifests, one module each."""
