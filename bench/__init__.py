"""The cost of production features: projects of this template against bare Django."""
