"""Pure translation: names, marks, references, plans. No I/O, event loop, clock or randomness."""
