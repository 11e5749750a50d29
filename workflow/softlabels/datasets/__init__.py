"""Where data come from: data sets that are generated or imported, and written in one form, the data set contract.

A source is an entry with ``read(options, files, problems) -> contract.Content``: ``options`` are its own with every
default; ``files`` are paths by the names of its inputs and, where one is a folder, ``images``, the image files below
it; ``problems`` gets all that is wrong with the files, with its place, and ends the import when it is raised.
"""
