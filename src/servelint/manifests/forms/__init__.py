"""One module a form of manifest: from documents to workloads, containers, autoscalers and images."""
