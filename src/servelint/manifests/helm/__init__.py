"""Helm charts, rendered with their values so that every rendered character knows where it was written."""
