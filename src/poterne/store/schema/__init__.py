"""The numbered SQL files that make the database, in order. A file that was released is never edited; a new one is added."""
