"""As the pages of the desk write them: the same day for every reader, in a day of 24 hours."""

DATE_FORMAT = "d M Y"
DATETIME_FORMAT = "d M Y, H:i"
TIME_FORMAT = "H:i"
