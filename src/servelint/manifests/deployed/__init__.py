"""What the manifests describe, joined: which container starts which server and serves which application."""
