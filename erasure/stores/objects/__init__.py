"""What stores made of objects in a directory share: walking, matching, editing, swapping.

``tree``       objects below a root, which collection each belongs to, how errors name them
``streams``    compressed or plain, line by line, in bounded memory
``documents``  values at dotted paths of a nested row
``matching``   what is looked for, and a prefilter on raw bytes
``edits``      what one step does to one row
``swap``       a new version takes the place of the old one, whole or not at all
``lines``      the engine for line-based formats;  ``jsonlines``  its JSON reader
``scanning``   the independent search by value
``store``      the adapter over all of it; ``files`` and ``logs`` add formats and words
"""
