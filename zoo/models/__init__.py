"""The architectures: one module per family, each registered with `zoo.registry.register_arch`."""
