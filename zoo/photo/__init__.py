"""Photo style transfer besides its engines: which region of the content takes after which of the style."""
