"""What an expression may be: values, calls, classes, worked out on demand."""
