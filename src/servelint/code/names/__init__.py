"""What names alone say: of calls, receivers, modules and frameworks."""
