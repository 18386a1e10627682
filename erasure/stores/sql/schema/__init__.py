"""What each engine's own catalogue says of its tables, in a handful of statements however many
tables there are: ``sqlite``, ``postgresql``, ``mariadb`` (and MySQL), and ``others`` through
SQLAlchemy's inspector."""
