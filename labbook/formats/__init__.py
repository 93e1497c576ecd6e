"""Pure renderers: entries in, bytes or words out; used by mail, feeds and every channel."""
