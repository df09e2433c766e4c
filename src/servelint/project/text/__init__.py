"""One file as text: its encoding and lines, its syntax tree, and how it is written back."""
