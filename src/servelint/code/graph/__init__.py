"""All files: who imports whom, what is in reach of a library, and the modules that are parsed on demand."""
