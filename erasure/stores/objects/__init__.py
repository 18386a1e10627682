"""What stores made of objects in a directory share.

``tree``       objects below a root, which collection each belongs to, how errors name them
``streams``    compressed or plain, in blocks of lines, in bounded memory
``documents``  values at dotted paths of a nested row
``matching``   what is looked for, and a prefilter on raw bytes
``finding``    from matching rows to keys and needles
``edits``      what a step does to one row
``swap``       a new version takes the place of the old one, whole or not at all
``engine``     what a format offers;  ``lines`` the engine for formats of lines, ``jsonlines`` one
``scanning``   the independent search by value
``reading``    the reading half of a store;  ``store`` the whole of it
``faults``     what can be wrong with one object

``files`` and ``logs`` add their formats and words.
"""
