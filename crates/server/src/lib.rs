//! Puts the house on the ground.
