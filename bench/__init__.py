"""What production features cost: projects of this template against bare Django, paired and interleaved."""
