"""Find the code and the manifests that stall a machine-learning service, and fix them."""
