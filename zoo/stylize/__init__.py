"""What style transfer is made of around its engines: settings, pictures, regions, colours, and which engine to take.

`zoo.tasks.stylize` puts the parts together.
"""
