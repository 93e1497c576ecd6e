"""Fetch the browser's locked packages into ``static/vendor``; nothing is wanted yet."""
