"""One server: the commands of a project against a real engine, over SSH."""
