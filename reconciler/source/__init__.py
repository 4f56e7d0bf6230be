"""Git: mirrors of config and service repos, what is in their trees, and safe checkouts."""
