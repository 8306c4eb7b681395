"""The file of results: its lines, how they reach the disk, and the note that lets a run go on."""
