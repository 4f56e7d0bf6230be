"""The story that `prodsprint demo` tells: a small service, people who use it, and the commits that change it."""
