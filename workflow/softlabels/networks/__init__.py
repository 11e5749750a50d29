"""Networks: ``body(options, weights, weights_file) -> Body``, a module from images to pooled features."""
