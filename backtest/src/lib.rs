//! Rules that are not in force yet, over what was really paid.
