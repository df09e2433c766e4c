"""Which files a project has: on disk, by what git knows of them, without what patterns leave out."""
