//! Recorded files → raw records. Reading is the only I/O.
