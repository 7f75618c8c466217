//! Read-only FUSE view.
