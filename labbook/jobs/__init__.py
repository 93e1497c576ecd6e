"""The timetable, APScheduler's wiring, and thin tasks."""
