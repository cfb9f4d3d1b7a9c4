"""The declarations: one module for each paper, or two where one would be long; a function for each table or figure."""
