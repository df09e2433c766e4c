"""What Python files say about how a server is started, and what their expressions are worth."""
