"""The REST API: the same deeds as at the desk, through the same doors of the flow."""
